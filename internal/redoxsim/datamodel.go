package redoxsim

func (s *Server) serveDataModel(x *exchange) *answer { return nil }
