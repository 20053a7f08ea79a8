// Package platform simulates the part of Redox's Platform API that tells what
// became of a message: a log by its id, the search of logs' metadata, and the
// list of environments. It is served by redoxsim.Server under /platform/.
//
// It was written from public documentation and never compared with the live
// service. Redox documents the paths, the query parameters, the fields of the
// search and the shape of one log. It documents neither the shape of a search's
// answer nor where the next cursor stands nor the order of results: [Shape] and
// [Order] offer several, so that a client cannot depend on one of them.
//
// A log's life is a [Script]: steps with a time since the message came. A step can
// be seen after Script.Visible. Nothing runs in the background: what a log says is
// computed when it is asked for.
package platform
