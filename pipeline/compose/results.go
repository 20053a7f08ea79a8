package compose

// encapsulated is the ValueType of a result whose Value is a file (Redox docs,
// Results).
const encapsulated = "Encapsulated Data"

// valueTypes are the known codes of ValueType (Redox docs, Results).
var valueTypes = []string{"Numeric", "String", "Date", "Time", "DateTime", "Coded Entry", encapsulated, "Formatted Text"}

// results builds Results messages, whose orders are named by the member
// orderID. The files go into the results that wait for one, in order.
func results(orderID string) fileBuilder {
	return func(m *model) []slot {
		before := m.p.total
		w := &waiting{model: m}
		where := at("message")
		for i, order := range m.list(m.message, where, "Orders", "the message needs at least one order") {
			w.order(order, where.to("Orders").index(i), orderID)
		}
		slots := w.choose()
		if len(slots) != len(m.job.Files) && m.p.total == before {
			m.p.add(codeContent, where.to("Orders"), "as many results without a Value as there are files must be here, to take them in their order; "+
				"mark them by the ValueType "+encapsulated)
		}
		return slots
	}
}

// waiting gathers the results that have no Value.
type waiting struct {
	*model
	// marked are of the ValueType encapsulated, bare of none.
	marked, bare []slot
}

func (w *waiting) order(order *node, where path, orderID string) {
	if !order.is(kindObject) {
		w.p.add(codeInvalid, where, "an order must be an object")
		return
	}
	checkText(order, where, orderID, "an order is found by its "+orderID+"; give it", w.p)
	checkText(order, where, "Status", "an order has a Status; give it", w.p)
	for i, r := range w.list(order, where, "Results", "an order needs at least one result") {
		here := where.to("Results").index(i)
		if !r.is(kindObject) {
			w.p.add(codeInvalid, here, "a result must be an object")
			continue
		}
		w.result(r, here)
	}
}

func (w *waiting) result(r *node, where path) {
	checkText(r, where, "Code", "a result has a Code; give it", w.p)
	checkText(r, where, "Status", "a result has a Status; give it", w.p)
	kind, _ := r.get("ValueType").text()
	switch {
	case r.get("Value") == nil && r.get("ValueType") == nil:
		w.bare = append(w.bare, slot{node: r, at: where})
	case r.get("Value") == nil && kind == encapsulated:
		w.marked = append(w.marked, slot{node: r, at: where})
	case kind == encapsulated:
		w.refuse(r, where, "Value")
	default:
		checkCode(r, where, "ValueType", valueTypes, w.p)
		checkText(r, where, "Value", "a result that takes no file has a Value; give it", w.p)
	}
}

// choose takes the marked results, or the bare ones where none is marked.
func (w *waiting) choose() []slot {
	chosen := w.bare
	if len(w.marked) > 0 {
		chosen = w.marked
		for _, s := range w.bare {
			w.p.add(codeMissing, s.at.to("Value"), "other results are marked to take the files; give this one a Value and a ValueType, or mark it too")
		}
	}
	for _, s := range chosen {
		w.refuseGiven(s.node, s.at, "FileType")
	}
	return chosen
}

// fillResult adds a file to its result. The Data Model has no place for the
// file's title here.
func fillResult(_ *model, s slot, file int, a Attachment) {
	if s.node.get("ValueType") == nil {
		s.node.add("ValueType", text(encapsulated))
	}
	s.node.put("FileType", modelType(a))
	s.node.add("Value", contents(file, a))
}
