module github.com/inproq/inproq/examples/server

go 1.26.0

require (
	github.com/inproq/inproq v0.0.0
	github.com/inproq/inproq/graphqlapi v0.0.0
	github.com/inproq/inproq/store/sqlite v0.0.0
	github.com/inproq/inproq/wranglerconfig v0.0.0
	github.com/stretchr/testify v1.12.1
	go.uber.org/goleak v1.3.0
)

require (
	github.com/dustin/go-humanize v1.1.0 // indirect
	github.com/gofrs/flock v0.13.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/ncruces/go-strftime v1.1.0 // indirect
	github.com/pelletier/go-toml/v2 v2.4.3 // indirect
	github.com/remyoudompheng/bigfft v0.0.0-20230129092748-24d4a6f8daec // indirect
	github.com/tailscale/hujson v0.0.0-20260727124030-b80ff77dac4f // indirect
	github.com/vektah/gqlparser/v2 v2.5.64 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sys v0.49.0 // indirect
	modernc.org/libc v1.79.0 // indirect
	modernc.org/mathutil v1.7.1 // indirect
	modernc.org/memory v1.12.1 // indirect
	modernc.org/sqlite v1.61.1 // indirect
)

replace (
	github.com/inproq/inproq => ../..
	github.com/inproq/inproq/graphqlapi => ../../graphqlapi
	github.com/inproq/inproq/store/sqlite => ../../store/sqlite
	github.com/inproq/inproq/wranglerconfig => ../../wranglerconfig
)
