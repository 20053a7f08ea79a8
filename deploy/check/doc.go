// Package check holds what is deployed to the specifications of those who run
// it: the chart to Kubernetes' own schemas and those of KEDA and the Prometheus
// operator, the Compose file to its specification, the Dockerfile to the rules
// of this project. It is a module of its own, so that their libraries are none
// of Chartpost's.
package check
