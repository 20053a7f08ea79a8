package compose

func dataModelOperations() []Operation { return nil }
