// Package logbook collects what a logger or a process writes, for tests that read it meanwhile.
package logbook
