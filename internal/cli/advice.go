package cli

import "strings"

// What an operator can do about a part that does not work.
var (
	AdviceNATS    = "see " + Flags("nats-url", "nats-creds", "nats-nkey", "nats-tls-ca") + ": is the server there, and does it let this user in?"
	AdviceStreams = "if they are missing, run `chartpost setup` with an operator's user; if they exist, see " + Flags("prefix", "nats-creds") + " and the permissions of this user"
	AdviceS3      = "see " + Flags("s3-endpoint", "s3-region", "s3-path-style", "s3-buckets") + " and the credentials of the AWS SDK's own chain (AWS_ACCESS_KEY_ID, AWS_PROFILE, a role)"
	AdviceAudit   = "if the stream of the audit is missing, run `chartpost setup` with an operator's user; else see " + Flags("prefix", "nats-creds") + " and the permissions of this user"
)

// AdviceS3At names the endpoint too, where one is set.
func AdviceS3At(endpoint string) string {
	if endpoint == "" {
		return AdviceS3
	}
	return AdviceS3 + "; the endpoint is " + endpoint
}

// Flags lists flags as a person may set them.
func Flags(names ...string) string {
	last := len(names) - 1
	return "--" + strings.Join(names[:last], ", --") + " and --" + names[last]
}
