package simulate

// Prices are what a service takes, in US dollars.
type Prices struct {
	PutList float64 // for 1000 Puts, Creates and Lists
	Get     float64 // for 1000 Gets
	GBMonth float64 // for 2^30 bytes that are stored for a month
}

// S3Prices returns those of S3 Standard in us-east-1 at the end of 2025, for the first
// 50 TB. Deletes cost nothing there, nor does moving bytes within the region.
func S3Prices() Prices { return Prices{PutList: 0.005, Get: 0.0004, GBMonth: 0.023} }

// Requests returns the price of the requests that were answered.
func (p Prices) Requests(c Counts) float64 {
	return float64(c.Puts+c.Lists)/1000*p.PutList + float64(c.Gets)/1000*p.Get
}

// Month returns the price of so many bytes that are stored for a month.
func (p Prices) Month(bytes int64) float64 { return float64(bytes) / (1 << 30) * p.GBMonth }
