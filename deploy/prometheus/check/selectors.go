package main

import (
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// selectors are the metrics and labels that expressions name. The labels that an
// expression groups, joins or aggregates by count for each of its metrics.
func selectors(expressions []string) ([]Selector, error) {
	var out []Selector
	for _, expression := range expressions {
		parsed, err := parse.ParseExpr(expression)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", expression, err)
		}
		parser.Inspect(parsed, func(node parser.Node, path []parser.Node) error {
			vector, ok := node.(*parser.VectorSelector)
			if !ok {
				return nil
			}
			s := Selector{Expression: expression, Metric: vector.Name, Labels: []string{}}
			for _, m := range vector.LabelMatchers {
				if m.Name != labels.MetricName {
					s.Labels = append(s.Labels, m.Name)
				}
			}
			for _, above := range path {
				s.Labels = append(s.Labels, grouping(above)...)
			}
			slices.Sort(s.Labels)
			s.Labels = slices.Compact(s.Labels)
			out = append(out, s)
			return nil
		})
	}
	return out, nil
}

// grouping are the labels that an operator keeps or joins by.
func grouping(node parser.Node) []string {
	switch n := node.(type) {
	case *parser.AggregateExpr:
		if !n.Without {
			return n.Grouping
		}
	case *parser.BinaryExpr:
		if n.VectorMatching != nil && n.VectorMatching.On {
			return n.VectorMatching.MatchingLabels
		}
	}
	return nil
}
