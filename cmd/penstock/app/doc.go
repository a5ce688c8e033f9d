// Package app is the command line of penstock: what can be given as a flag or
// in the environment, what is checked before anything starts, and the way from
// start to the end of the drain that all serving commands share.
//
// A serving command is four steps that only go in this order, because each
// gives the type the next one needs:
//
//	ServingOptions ─Complete→ CompletedOptions ─Validate, Prepare→ *Prepared ─Run→ exit code
//
// The handler is the only thing in which the serving commands differ.
//
// # Exit codes
//
//	0  clean
//	1  wrong flag or configuration, failed start, fatal error, second signal
//	2  an address could not be bound
//	3  the drain's deadline passed and connections were cut
package app
