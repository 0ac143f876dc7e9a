package main

import (
	"slices"

	"pleat/migrations/hazard"
)

// The types below are the part of SARIF 2.1.0 that a report of lint needs.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID      string             `json:"id"`
		Short   sarifText          `json:"shortDescription"`
		Full    sarifText          `json:"fullDescription"`
		Help    sarifText          `json:"help"`
		Default sarifConfiguration `json:"defaultConfiguration"`
	}
	sarifConfiguration struct {
		Level   string `json:"level"`
		Enabled bool   `json:"enabled"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		Rule         string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        string             `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
		EndLine     int `json:"endLine"`
		EndColumn   int `json:"endColumn"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Justification string `json:"justification,omitempty"`
	}
)

func sarif(findings []lintFinding) sarifLog {
	docs := hazard.SQLCodes()
	run := sarifRun{
		Tool:       sarifTool{sarifDriver{Name: "pleat", Version: version}},
		ColumnKind: "unicodeCodePoints", Results: []sarifResult{},
	}
	for _, d := range docs {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
			ID: d.Code, Short: sarifText{d.Title}, Full: sarifText{d.Explain}, Help: sarifText{d.Safe},
			Default: sarifConfiguration{sarifLevel(d.Severity), !d.Optional},
		})
	}
	for _, f := range findings {
		r := sarifResult{
			Rule: f.Code, Level: sarifLevel(f.Severity), Message: sarifText{f.Text},
			RuleIndex: slices.IndexFunc(docs, func(d hazard.Doc) bool { return d.Code == f.Code }),
			Locations: []sarifLocation{{sarifPhysical{
				sarifArtifact{f.File}, sarifRegion{f.at.Start.Line, f.at.Start.Column, f.at.End.Line, f.at.End.Column},
			}}},
		}
		if f.Allowed {
			r.Suppressions = []sarifSuppression{{"inSource", f.Reason}}
		}
		run.Results = append(run.Results, r)
	}
	return sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}
}

func sarifLevel(s hazard.Severity) string {
	if s == hazard.Risk {
		return "error"
	}
	return "note"
}
