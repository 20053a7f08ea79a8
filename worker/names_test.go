package worker

import "github.com/chartpost/chartpost/schemas"

func liveLane(name string) schemas.Lane { return schemas.Lane{Class: schemas.Live, Destination: name} }
