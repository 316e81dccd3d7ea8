module github.com/inproq/inproq/examples/crawler

go 1.26.0

require (
	github.com/inproq/inproq v0.0.0
	github.com/stretchr/testify v1.12.1
	github.com/temoto/robotstxt v1.1.2
	go.uber.org/goleak v1.3.0
	golang.org/x/net v0.62.0
)

require (
	github.com/google/uuid v1.6.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace github.com/inproq/inproq => ../..
