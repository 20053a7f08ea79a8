package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/chartpost/chartpost/internal/audit"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

const (
	mostReason = 200
	mostName   = 128
)

// AuditFlags say who acts, and why. Whoever embeds them calls Complete.
type AuditFlags struct {
	Operator string `aliases:"by" placeholder:"NAME" help:"Who acts; empty is USER@HOST of this system." group:"Audit"`
	Reason   string `placeholder:"TEXT" help:"Why, in at most 200 characters that colleagues may read: no patients." group:"Audit" percall:""`
}

// Complete fills in who acts and holds both to their bounds.
func (f *AuditFlags) Complete(needReason bool) error {
	if f.Operator == "" {
		f.Operator = systemUser()
	}
	var faults []error
	if !printable(f.Operator, mostName) {
		faults = append(faults, fmt.Errorf("--operator: must be a name of 1 to %d printable characters", mostName))
	}
	switch {
	case f.Reason == "" && !needReason:
	case f.Reason == "":
		faults = append(faults, fmt.Errorf("--reason: is required: 1 to %d printable characters", mostReason))
	case !printable(f.Reason, mostReason):
		faults = append(faults, fmt.Errorf("--reason: must have 1 to %d printable characters", mostReason))
	}
	return errors.Join(faults...)
}

// Trail begins the records of a command. parameters are its settings; none may
// hold patient data.
func (f AuditFlags) Trail(ctx context.Context, queue *natsq.Conn, prefix string, action schemas.Action, parameters map[string]string) *audit.Trail {
	user, account := queue.User(ctx)
	trail := audit.New(queue, prefix, schemas.AuditData{
		Action: action, Command: rand.Text(), Reason: f.Reason, Parameters: parameters,
		Operator: schemas.Operator{Name: f.Operator, System: systemUser(), NATSUser: user, NATSAccount: account},
	})
	trail.Advice = AdviceAudit
	return trail
}

// printable reports whether text is one line of 1 to most characters.
func printable(text string, most int) bool {
	if n := utf8.RuneCountInString(text); n < 1 || n > most || !utf8.ValidString(text) {
		return false
	}
	for _, r := range text {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// systemUser is USER@HOST of this system. A container may have no name for its
// user: then it is the number.
func systemUser() string {
	name := strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "unknown"
	}
	text := []rune(name + "@" + host)
	return string(text[:min(len(text), mostName)])
}
