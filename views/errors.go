package views

// ErrorView is what an error page says.
type ErrorView struct {
	Status   int
	Sentence string
	Details  []string // of single fields
	Request  string   // id, to find it in the log
	Retry    bool     // loading the page again may help
}

// ErrorTitle says what a status means to a person.
func ErrorTitle(status int) string {
	switch status {
	case 400:
		return "That request could not be read"
	case 401:
		return "Sign in first"
	case 403:
		return "Not allowed"
	case 404:
		return "Not found"
	case 409:
		return "Not possible right now"
	case 413:
		return "Too large"
	case 422:
		return "That was refused"
	case 429:
		return "Too many requests"
	case 503:
		return "Not reachable right now"
	}
	return "Something went wrong"
}

func (v ErrorView) icon() string {
	switch v.Status {
	case 401, 403:
		return "lock"
	case 404:
		return "search"
	case 503:
		return "wifi-off"
	case 500:
		return "bug"
	}
	return "circle-alert"
}

func (v ErrorView) retries() bool {
	return v.Retry && (v.Status == 409 || v.Status == 429 || v.Status >= 500)
}
