package backfill

import (
	"errors"
	"fmt"
	"slices"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/s3source"
	"github.com/chartpost/chartpost/schemas"
)

// admitFlags are settings that the jobs of a template must agree with.
type admitFlags struct {
	Environment  string   `name:"redox-environment" placeholder:"NAME" help:"The workers' environment: Development, Staging or Production. A job of another is a fault here, not a dead letter later; empty compares nothing."`
	Destinations []string `placeholder:"SLUG" help:"Destinations that the jobs may have, by slug or id; empty is any." percall:""`
}

func (f admitFlags) check() error {
	known := []schemas.Environment{"", schemas.Development, schemas.Staging, schemas.Production}
	if !slices.Contains(known, schemas.Environment(f.Environment)) {
		return fmt.Errorf("--redox-environment (%s) must be exactly Development, Staging or Production", app.EnvironmentName("redox-environment"))
	}
	return nil
}

// admit refuses jobs that the settings rule out. It asks no server.
func (f admitFlags) admit(buckets []string) func(schemas.Job) error {
	return func(job schemas.Job) error {
		if at := string(job.Destination.Environment); f.Environment != "" && at != f.Environment {
			return refusal("environment_mismatch", "/destination/environment", "is not the workers' environment: see --redox-environment")
		}
		if len(f.Destinations) > 0 && !slices.Contains(f.Destinations, job.Destination.Address()) {
			return refusal("destination_not_allowed", "/destination", "is none of --destinations")
		}
		for i, file := range job.Files {
			err := s3source.Admit(buckets, file)
			if known, ok := errors.AsType[*fault.Fault](err); ok {
				return refusal(known.Code, fmt.Sprintf("/files/%d", i), known.Text+": see --s3-buckets")
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
}

func refusal(code, path, text string) error {
	return &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: code, Path: path, Text: text}
}
