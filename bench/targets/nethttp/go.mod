module github.com/penstock-edge/penstock/bench/targets/nethttp

go 1.26.0
