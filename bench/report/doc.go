// Package report shows what package bench found: a summary for terminals
// (WriteSummary), a line of progress (Progress), a search for the highest rate
// (WriteRamp), a comparison (WriteComparison), and pages of HTML that need nothing
// beside themselves (WritePage, WriteRampPage).
//
// Pages are one file: styles inside, charts as SVG made here, no script, and a
// Content-Security-Policy that allows nothing but that style. They follow the
// reader's light or dark scheme, fit a phone, and each chart's values stand in a
// table or a title too.
//
// Texts that came from a server, such as its name or the first error of a kind,
// are cut, and cleaned of what a terminal would obey.
package report
