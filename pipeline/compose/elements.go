package compose

import "strings"

// elementNames are the names that a path may show where the caller chose them:
// a key that only looks like an element's may be a patient's name or number.
// They are elements of FHIR R4 below which a reference, an attachment or a URL
// can stand, in the resources that travel with documents and reports, the objects
// of the Data Model that carry files, and the names that the rules of this package
// look for.
var elementNames = elementsOf(`
	contained extension modifierExtension meta text id resourceType
	data url reference identifier assigner subject patient note authorReference signature who onBehalfOf
	name telecom address gender birthDate photo contact organization communication generalPractitioner
	managingOrganization link other qualification issuer practitioner healthcareService endpoint
	status type category code masterIdentifier author authenticator custodian relatesTo target content attachment
	context encounter event related sourcePatientInfo
	basedOn performer actor resultsInterpreter specimen result imagingStudy media presentedForm
	partOf focus device hasMember derivedFrom component
	destination receiver sender enterer source responsible response details
	episodeOfCare participant individual member appointment reasonReference diagnosis condition account hospitalization
	origin location serviceProvider careManager team referralRequest
	parent request collection collector processing additive additiveReference container
	replaces requester locationReference insurance supportingInfo relevantHistory
	recorder asserter report complicationDetail focalDevice manipulated usedReference evidence detail stage assessment
	operator series instance referrer interpreter procedureReference definition owner
	attester party section div udiCarrier carrierAIDC query hash entry targetReference agent entity what reaction manufacturer
	medicationReference ingredient itemReference informationSource dispenseRequest priorPrescription eventHistory detectedIssue
	coverage policyHolder subscriber beneficiary payor contract guarantor
	provision verification verifiedWith sourceAttachment sourceReference slot
	Meta Patient Note Media Orders Results Provider Extensions`,
	// The types of an extension's value[x].
	`Address Age Annotation Attachment Base64Binary Boolean Canonical Code CodeableConcept Coding ContactDetail ContactPoint
	Contributor Count DataRequirement Date DateTime Decimal Distance Dosage Duration Expression HumanName Id Identifier
	Instant Integer Markdown Meta Money Oid ParameterDefinition Period PositiveInt Quantity Range Ratio Reference
	RelatedArtifact SampledData Signature String Time Timing TriggerDefinition UnsignedInt Uri Url UsageContext Uuid`)

func elementsOf(names, valueTypes string) map[string]bool {
	all := map[string]bool{}
	for _, name := range strings.Fields(names) {
		all[name] = true
	}
	for _, typ := range strings.Fields(valueTypes) {
		all["value"+typ] = true
	}
	return all
}

// shown is a key of the caller's as a path shows it. A primitive's second
// member, "_" and its name (FHIR R4, JSON), is as safe as the name.
func shown(key string) string {
	if elementNames[strings.TrimPrefix(key, "_")] {
		return key
	}
	return "*"
}
