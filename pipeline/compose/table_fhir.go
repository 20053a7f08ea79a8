package compose

import "github.com/chartpost/chartpost/schemas"

// fhirOperations are the rows of Redox's FHIR API (Redox docs, FHIR write
// operations).
func fhirOperations() []Operation {
	return []Operation{
		{
			Name:        schemas.DocumentReferenceCreate,
			API:         FHIR,
			Path:        "DocumentReference/$documentreference-create",
			ContentType: fhirJSON,
			Event:       eventDefinitions + "DocumentReferenceCreate",
			Main:        "DocumentReference",
			MaxFiles:    maxFiles,
			About: About{
				File:     "`resource.content[].attachment`, one content element per file",
				Required: fhirElements("resource.status"),
				Filled:   fhirElementsMade("resource.masterIdentifier", "resource.subject", "resource.content"),
				Notes: []string{
					"`content` may be given without its files: one element per file, in their order.",
					"`context.encounter` is set where `entries` holds exactly one Encounter.",
				},
				Uncertain: []string{"The event URI was seen in working clients; Redox's docs do not print it."},
			},
			build: fhirMessage(documentReference),
		},
		{
			Name:        schemas.DiagnosticReportCreate,
			API:         FHIR,
			Path:        "DiagnosticReport/$diagnosticreport-create",
			ContentType: fhirJSON,
			Event:       eventDefinitions + "DiagnosticReportCreate",
			Main:        "DiagnosticReport",
			MaxFiles:    maxFiles,
			About: About{
				File:     "`resource.presentedForm[]`, one element per file",
				Required: fhirElements("resource.status", "resource.code"),
				Filled:   fhirElementsMade("resource.identifier", "resource.subject", "resource.presentedForm"),
				Notes: []string{
					"`presentedForm` may be given without its files: one element per file, in their order.",
					"Observations, Specimens and Practitioners that the report refers to travel in `entries`.",
					"`encounter` is set where `entries` holds exactly one Encounter.",
				},
			},
			build: fhirMessage(diagnosticReport),
		},
		{
			Name:        schemas.DiagnosticReportAmend,
			API:         FHIR,
			Path:        "DiagnosticReport/$diagnosticreport-amend",
			ContentType: fhirJSON,
			Event:       eventDefinitions + "DiagnosticReportAmend",
			Main:        "DiagnosticReport",
			MaxFiles:    maxFiles,
			About: About{
				File:     "`resource.presentedForm[]`, one element per file",
				Required: fhirElements("resource.status", "resource.code"),
				Filled:   fhirElementsMade("resource.subject", "resource.presentedForm"),
				Notes: []string{
					"It replaces the whole report: give all of it, every file included.",
					"`presentedForm` may be given without its files: one element per file, in their order.",
					"`encounter` is set where `entries` holds exactly one Encounter.",
				},
				Uncertain: []string{
					"How Redox finds the report that is amended is not public. Give the `identifier` of the report as it was sent: " +
						"none is made here, since a new one would name no report. `diagnosticreport-create` makes one where its job gives none; " +
						"it derives from that job's id, and whoever amends has to name it.",
				},
			},
			build: fhirMessage(amendedReport),
		},
		{
			Name:        schemas.ObservationCreate,
			API:         FHIR,
			Path:        "Observation/$observation-create",
			ContentType: fhirJSON,
			Event:       eventDefinitions + "ObservationCreate",
			Main:        "Observation",
			Entries:     []string{"Observation", "Encounter"},
			MaxFiles:    1,
			About: About{
				File:     "`resource.extension[].valueAttachment` of the extension `" + ObservationValueExtension + "`, or where a setting says",
				Required: fhirElements("resource.status", "resource.code"),
				Filled:   fhirElementsMade("resource.identifier", "resource.subject", "resource.extension"),
				Notes: []string{
					"An Observation has one value, and the file is it: several files are several jobs.",
					"The extension may be given without its file, to say more of it.",
					"`encounter` is set where `entries` holds exactly one Encounter.",
				},
				Uncertain: []string{
					"Where the file goes. Redox says that an Observation can carry one and shows no sample; FHIR R4 has no element for it. " +
						"The default is HL7's cross-version extension for R5's `Observation.value`. The place is a setting (`--observation-file`): " +
						"the URL of another extension, or `valueAttachment` for an element of that name, as FHIR R5 has it. " +
						"Try it with the destination before relying on it.",
				},
			},
			build: fhirMessage(observation),
		},
	}
}

// fhirElements are those that every FHIR operation requires, and its own.
func fhirElements(own ...string) []string {
	return append([]string{
		"patient.resourceType", "patient.identifier[].system", "patient.identifier[].value",
		"patient.name", "patient.gender", "patient.birthDate", "resource.resourceType",
	}, own...)
}

// fhirElementsMade are those that every FHIR operation makes, and its own.
func fhirElementsMade(own ...string) []string {
	return append([]string{"header"}, own...)
}
