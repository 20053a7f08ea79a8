package main

import "strings"

// What an operator can do about a part that does not work.
var (
	adviceNATS    = "see " + flags("nats-url", "nats-creds", "nats-nkey", "nats-tls-ca") + ": is the server there, and does it let this user in?"
	adviceStreams = "if they are missing, run `chartpost setup` with an operator's user; if they exist, see " + flags("prefix", "nats-creds") + " and the permissions of this user"
	adviceS3      = "see " + flags("s3-endpoint", "s3-region", "s3-path-style", "s3-buckets") + " and the credentials of the AWS SDK's own chain (AWS_ACCESS_KEY_ID, AWS_PROFILE, a role)"
	adviceAudit   = "if the stream of the audit is missing, run `chartpost setup` with an operator's user; else see " + flags("prefix", "nats-creds") + " and the permissions of this user"
)

// flags lists flags as a person may set them.
func flags(names ...string) string {
	last := len(names) - 1
	return "--" + strings.Join(names[:last], ", --") + " and --" + names[last]
}
