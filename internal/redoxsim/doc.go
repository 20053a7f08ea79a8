// Package redoxsim simulates the part of Redox that files travel through: the
// token endpoint, the two uploads, four FHIR write operations and six Data
// Model messages. It is an [http.Handler] for tests and demonstrations and
// imports nothing of the project, so that it cannot share the misunderstandings
// of the client it is there to test.
//
// It is a simulator. It was written from public documentation and from what
// working clients rely on; nothing in it was compared with the live service.
// A message it accepts may still be refused by Redox or by the receiving
// system, and the other way round.
//
// # What it verifies
//
//   - Tokens: form encoding, grant and assertion types, the signature (RS384,
//     ES384 alone), typ, kid, iss = sub = a known client, aud, iat, exp at most
//     300 s after iat, jti never seen before. Access tokens are opaque, expire
//     after expires_in and can be revoked.
//   - Addresses: method, operation, resource type, the environment flag in its
//     exact spelling, known destinations, the slug "redox" for Binary.
//   - Sources: Redox-source-Id where a client has several, and that it is one of
//     the client's; Meta.Source.ID for Data Model messages.
//   - Sizes: files 30,000,000 and requests 40,000,000 bytes, refused by their
//     Content-Length before the body is asked for.
//   - JSON: valid UTF-8, no repeated names, nothing after the value, and in FHIR
//     no empty object, array or string and no null for a member.
//   - FHIR: a message Bundle with its invariants, the MessageHeader with the
//     operation's event and a focus in the bundle, a Patient with identifier,
//     name, gender and birthDate, the main resource's required fields and status,
//     every reference, and every attachment: media type, exactly one of data and
//     url, strict base64, size, and hash as SHA-1 (FHIR R4's definition).
//   - Data Model: the envelope, the fields the schemas of 2021 require and the
//     documented ones they leave out, the known value sets, file fields as base64
//     or as an address issued here.
//   - File addresses: one on the blob host must have been issued here, to the
//     same client and source.
//   - The request window, when one is configured.
//
// A refusal names its rules: in the issues of an OperationOutcome, in
// Meta.Errors, and for every request in [Server.Requests], which is also where
// the reason of an invalid_client stands that the wire does not tell. Texts
// hold rules and JSON pointers and never values.
//
// # What is assumed
//
// These are ours, because nothing is documented: which of 400, 403, 404, 411,
// 415 answers which mistake; that a missing kid is 401; that Binary is refused
// when it is empty, chunked or multipart; any Content-Type for Binary, even
// none; the type batch-response of a FHIR answer, whose entry was seen from
// Redox's sandbox only; the shape of identifiers in answers; that requests
// refused by the window are not counted in it, and that it is counted by remote
// address; five seconds of clock skew for iat, or none by setting; that a multipart upload of a
// client with several sources may be named by each of them; that an Attachment
// may point to https addresses of other hosts, while Data Model file fields may
// not; that Results[].Status is required, as the schemas have it; that a file
// in an Observation is an Attachment in an extension.
//
// # What it does not know
//
// Terminology, profiles and most fields of FHIR and of the Data Models are not
// looked at. It matches no patients, delivers nothing, scans no content, gives
// file addresses no end of life and plays no egress addresses. It does not
// deduplicate: neither does Redox. Config.Platform adds the part of the Platform
// API that tells what became of messages; see package platform.
//
// # Use
//
// [New] makes a [Server] from a [Config]; [GenerateClient] makes a client with
// its key. All of Redox's hosts are served by one handler. Under /_sim/ the
// accessors and faults are offered over HTTP, without authentication: never
// expose it. [Server.Inject] makes it misbehave, see [Fault] and [Action].
//
//	GET    /_sim/messages                  the accepted messages
//	GET    /_sim/messages/{n}              the body of message n, from 1
//	GET    /_sim/messages/{n}/files/{i}    the bytes of its file i, from 0
//	GET    /_sim/uploads                   the uploaded files
//	GET    /_sim/uploads/{n}               the bytes of upload n, from 1
//	GET    /_sim/requests                  the latest requests
//	GET    /_sim/faults                    the faults and their counts
//	POST   /_sim/faults                    adds a fault (one JSON object)
//	DELETE /_sim/faults                    removes all
//	POST   /_sim/tokens/revoke             revokes all tokens
//
// Bodies up to 64 KB stay in memory and larger ones go to a temporary directory,
// or all to Config.Dir. A file inside a message is never held whole: 64 messages
// of 38 MB at once took 34 MB of memory.
package redoxsim
