package handler

// CacheControl keeps the answers of built-in endpoints (health, metrics, version,
// documents) out of caches: "no-cache, private" where the endpoint has not set
// Cache-Control itself. Other answers are left alone: how long a file or another
// server's answer may be kept is not ours to say. It allocates nothing.
type CacheControl struct{ builtIn Predicate }

// NewCacheControl makes the stage for the requests that builtIn picks, by
// ExactPaths or by x.Info.Route for instance. If nil, none.
func NewCacheControl(builtIn Predicate) *CacheControl { return &CacheControl{builtIn} }

// Begin notes whether a built-in endpoint will answer, while the path is as the
// client has sent it.
func (c *CacheControl) Begin(x *Exchange) bool {
	x.builtIn = c.builtIn != nil && c.builtIn(x)
	return true
}

// Head adds the field.
func (c *CacheControl) Head(x *Exchange, _ int) {
	if x.builtIn {
		setDefault(x.Writer().Header(), "Cache-Control", noCache)
	}
}
