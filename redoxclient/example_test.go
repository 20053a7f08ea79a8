package redoxclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/chartpost/chartpost/redoxclient"
)

// A file is uploaded, and a message that names its URL is sent.
func Example() {
	tokens, err := redoxclient.NewTokenSource(redoxclient.TokenConfig{
		ClientID:   os.Getenv("REDOX_CLIENT_ID"),
		KeyFile:    "/etc/redox/key.pem",
		KeyID:      "2026-11",
		OnKeyError: func(err error) { log.Print(err) },
	})
	if err != nil {
		log.Fatal(err)
	}
	client, err := redoxclient.New(redoxclient.Config{Environment: "Development", Tokens: tokens})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx := context.Background()
	file, err := client.Upload(ctx, redoxclient.UploadRequest{
		ContentType: "application/pdf",
		Body: redoxclient.Body{
			Size: 12345,
			Open: func(context.Context) (io.ReadCloser, error) { return os.Open("report.pdf") },
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	receipt, err := client.Send(ctx, redoxclient.SendRequest{
		Destination: "redox-fhir-sandbox",
		Path:        "DocumentReference/$documentreference-create",
		Body:        redoxclient.Bytes(bundle(file.URL)),
	})
	if e, ok := errors.AsType[*redoxclient.Error](err); ok && e.Kind == redoxclient.UnknownOutcome {
		fmt.Println("Redox may have it: sending it again may repeat it")
	}
	if err == nil {
		fmt.Println("queued at Redox:", receipt.Status)
	}
}
