// Command bench measures Chartpost as it runs: nats-server, the S3 server, a
// receiver in place of Redox and the worker, each as a process of its own, all
// on this machine. Beside the worker it measures a bare pipe, a program that
// does nothing but GET, POST and POST with the same clients, so that the
// machine's own speed is known in the same minute.
//
//	go run ./internal/bench [flags] [rows] [latency] [startup] [scale] [size]
//
// docs/performance.md says what each part measures. It runs on Linux, where
// /proc tells what a process used.
package main
