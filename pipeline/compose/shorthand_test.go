package compose

import "github.com/chartpost/chartpost/schemas"

// Check is that of a Composer with the default settings.
func Check(job schemas.Job) error { return Composer{}.Check(job) }

// Stated is that of a Composer with the default settings.
func Stated(job schemas.Job) ([]Statement, error) { return Composer{}.Stated(job) }

// Compose is that of a Composer with the default settings.
func Compose(job schemas.Job, files []Attachment) (*Message, error) {
	return Composer{}.Compose(job, files)
}

// Stated drafts a job's message and gives what it says of each file.
func (c Composer) Stated(job schemas.Job) ([]Statement, error) {
	d, err := c.Draft(job)
	if err != nil {
		return nil, err
	}
	return d.Stated(), nil
}

// Compose drafts a job's message and builds it around files.
func (c Composer) Compose(job schemas.Job, files []Attachment) (*Message, error) {
	d, err := c.Draft(job)
	if err != nil {
		return nil, err
	}
	return d.Compose(files)
}
