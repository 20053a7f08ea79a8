package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/chartpost/chartpost/internal/devstack/s3dev"
	"github.com/chartpost/chartpost/internal/redoxsim"
)

type redoxCmd struct {
	Dir          string        `default:".dev/redox" type:"path" placeholder:"DIR" help:"Folder of the key and of what arrived."`
	Port         int           `default:"8443" help:"Port on 127.0.0.1; 0 is a free one."`
	Rate         int           `default:"0" help:"Requests in the window; 0 is no limit."`
	Window       time.Duration `default:"5m" help:"The rolling window of --rate."`
	Destinations []string      `placeholder:"SLUG" help:"Destinations that exist; empty is any."`
}

// Help adds to the command's --help.
func (redoxCmd) Help() string {
	return `It verifies tokens, refuses what Redox is known to refuse, keeps what arrived, and misbehaves on command (POST /_sim/faults). What it assumes and does not know of Redox is said in the documentation of its package.

The first line of output is JSON: its URLs and the settings of its one client. The bytes of what arrived stay in the folder; the list of messages, tokens and the URLs of uploaded files are kept in memory and begin anew with each start.`
}

// Validate implements kong's check of a command's values.
func (c *redoxCmd) Validate() error {
	var rate error
	if c.Rate < 0 || c.Window <= 0 {
		rate = errors.New("--rate must not be negative, and --window must be more than 0")
	}
	return errors.Join(checkPort("port", c.Port), rate)
}

func (c *redoxCmd) Run(ctx context.Context, out io.Writer) error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	id, err := identityIn(c.Dir)
	if err != nil {
		return err
	}
	sim, err := redoxsim.New(redoxsim.Config{
		Clients: []redoxsim.Client{id.client()}, Dir: filepath.Join(c.Dir, "arrived"), Destinations: c.Destinations,
		Rate: redoxsim.RateLimit{Requests: c.Rate, Window: c.Window},
	})
	if err != nil {
		return err
	}
	defer sim.Close()
	url, stop, err := serve(ctx, sim, c.Port)
	if err != nil {
		return err
	}
	defer stop()
	err = json.NewEncoder(out).Encode(map[string]string{
		"api_url": url, "token_url": url + "/v2/auth/token", "blob_host": blobHost,
		"client_id": id.ClientID, "key_id": id.KeyID, "source_id": id.SourceID, "key_file": id.keyFile,
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

type s3Cmd struct {
	Dir    string   `default:".dev/s3" type:"path" placeholder:"DIR" help:"Folder of the objects."`
	Port   int      `default:"9000" help:"Port on 127.0.0.1; 0 is a free one."`
	Bucket []string `placeholder:"NAME" help:"Buckets to create."`
}

// Help adds to the command's --help.
func (s3Cmd) Help() string {
	return fmt.Sprintf("The first line of output is JSON with its URL. Access key %s, secret %s.", s3dev.DefaultAccessKey, s3dev.DefaultSecretKey)
}

// Validate implements kong's check of a command's values.
func (c *s3Cmd) Validate() error {
	faults := []error{checkPort("port", c.Port)}
	for _, name := range c.Bucket {
		if !bucketName.MatchString(name) {
			faults = append(faults, fmt.Errorf("--bucket: %q must be 3 to 63 small letters, digits, dots or hyphens", name))
		}
	}
	return errors.Join(faults...)
}

// bucketName is S3's rule for names of buckets, but for what is rare.
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func (c *s3Cmd) Run(ctx context.Context, out io.Writer) error {
	options := s3dev.Options{Dir: c.Dir, Port: c.Port}
	server, err := s3dev.StartProcess(ctx, options)
	if err != nil {
		return err
	}
	defer server.Close()
	for _, name := range c.Bucket {
		if err := s3dev.Bucket(ctx, s3dev.Client(server.URL(), options), name, false); err != nil {
			return err
		}
	}
	if err := json.NewEncoder(out).Encode(map[string]string{"url": server.URL()}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
