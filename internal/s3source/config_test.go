package s3source

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/smithy-go/logging"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

func TestRegionIsNeededForAWS(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	if _, err := New(t.Context(), Config{}); err == nil {
		t.Error("no region: want an error")
	}
	t.Setenv("AWS_REGION", "eu-north-1")
	if _, err := New(t.Context(), Config{}); err != nil {
		t.Error(err)
	}
}

// TestTheSDKSaysNothing: its own logger prints to standard error.
func TestTheSDKSaysNothing(t *testing.T) {
	if said := source(t, storeURL).client.Options().Logger; said != (logging.Nop{}) {
		t.Errorf("the SDK has a %T", said)
	}
}

// TestAuthorityOfTheEnvironment: AWS_CA_BUNDLE vouches for a store.
func TestAuthorityOfTheEnvironment(t *testing.T) {
	store := httptest.NewUnstartedServer(http.NotFoundHandler())
	store.Config.ErrorLog = log.New(io.Discard, "", 0)
	store.StartTLS()
	defer store.Close()
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: store.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	file := schemas.File{Bucket: "reports", Key: "k"}
	t.Setenv("AWS_CA_BUNDLE", "")
	_, err := source(t, store.URL).Open(t.Context(), file, nil)
	wantFault(t, err, fault.Retryable, "s3_unavailable")
	t.Setenv("AWS_CA_BUNDLE", bundle)
	_, err = source(t, store.URL).Open(t.Context(), file, nil)
	wantFault(t, err, fault.Retryable, "s3_refused")
}
