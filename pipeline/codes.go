package pipeline

// CodeMessageTooLarge is the code of Redox's 413 for a message. It is the one
// fault the pipeline answers itself, by uploading what it had embedded.
const CodeMessageTooLarge = "message_too_large"

const (
	// CodeRateLimited is the code of Redox's 429: the address sent too much, and
	// no job did.
	CodeRateLimited = "redox_rate_limited"
	// CodeThrottled is that of a request which our own budget of requests did not
	// allow in all the time that it may wait.
	CodeThrottled = "redox_throttled"
)
