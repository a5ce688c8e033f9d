package app

import "errors"

// OnOff is a flag's value: on or off.
type OnOff bool

// String is "on" or "off".
func (v *OnOff) String() string {
	if *v {
		return "on"
	}
	return "off"
}

// Set takes "on" or "off".
func (v *OnOff) Set(s string) error {
	switch s {
	case "on":
		*v = true
	case "off":
		*v = false
	default:
		return errors.New("must be on or off")
	}
	return nil
}

// Type is the name of the value in help texts.
func (v *OnOff) Type() string { return "on|off" }
