package main

// options are those of s3dev.Options, which says what each means.
type options struct {
	Dir        string `json:"dir"`
	Port       int    `json:"port"`
	AccessKey  string `json:"access_key"`
	SecretKey  string `json:"secret_key"`
	Region     string `json:"region"`
	Versioning bool   `json:"versioning"`
	Users      []user `json:"users"`
}

type user struct {
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
}
