package frame

const (
	// maxSettings in a frame. Ten are registered, and one or two are sent so that
	// nobody forgets to ignore the unknown; each costs a look at all before it
	// (TestParseSettings/too many).
	maxSettings = 64
	// MaxSettingsSize is the largest payload of SETTINGS that ParseSettings can
	// accept: nobody has to buffer more to refuse it (TestParseSettings/the largest).
	MaxSettingsSize = maxSettings * 2 * MaxVarintSize
)
