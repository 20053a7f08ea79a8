package main

import (
	"fmt"
	"runtime"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/schemas"
)

type versionCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

func (c versionCmd) Run(std cli.Streams) error {
	if c.JSON {
		return cli.JSONLines(std.Out).Encode(map[string]string{
			"version": app.Version(), "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH,
		})
	}
	_, err := fmt.Fprintf(std.Out, "chartpost %s (%s, %s/%s)\n", app.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

type schemaCmd struct {
	Name string `arg:"" enum:"job.v1,event.v1,audit.v1,manifest.v1,template.v1,report.v1" help:"job.v1, event.v1, audit.v1, manifest.v1, template.v1 or report.v1."`
}

func (c schemaCmd) Run(std cli.Streams) error {
	text, err := schemas.Schema(c.Name)
	if err != nil {
		return cli.Usage(err)
	}
	_, err = std.Out.Write(text)
	return err
}
