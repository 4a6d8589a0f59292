// Package page writes the report of a run for people: one HTML file that needs nothing else, with the
// verdict, the violations, and plots over the time of the run, drawn as SVG: what the nemesis did,
// how many operations were acknowledged, when none was, and how long each kind of them took.
//
// Everything is computed from the history and the acts; the same run gives the same bytes.
package page
