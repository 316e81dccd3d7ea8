package sqlite

// DataSync is for the benchmarks: the raw log waits for the disk in the same way.
var DataSync = dataSync
