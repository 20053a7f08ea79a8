package pipeline

// CodeMessageTooLarge is the code of Redox's 413 for a message. It is the one
// fault the pipeline answers itself, by uploading what it had embedded.
const CodeMessageTooLarge = "message_too_large"

// CodeRateLimited is the code of Redox's 429: the address sent too much, and no
// job did.
const CodeRateLimited = "redox_rate_limited"
