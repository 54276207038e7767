/* Assessments: fields, and the questions of each type (RULES.md "Document fields"). */
#include "replication/submit.h"

#define TYPES "HEALTH WASH SHELTER FOOD SECURITY POPULATION"

static const struct fm_field_rule fields[] = {
    {"entityId", FM_WANT_UUID, true, NULL},
    {"assessmentType", FM_WANT_ENUM, true, TYPES},
    {"assessmentDate", FM_WANT_DATE, true, NULL},
    {"offlineId", FM_WANT_TEXT, false, NULL},
    {"incidentId", FM_WANT_TEXT, false, NULL},
    {"priority", FM_WANT_ENUM, false, "CRITICAL HIGH MEDIUM LOW"},
    {"verificationStatus", FM_WANT_ENUM, false, "DRAFT PENDING VERIFIED AUTO_VERIFIED REJECTED"},
    {"rejectionReason", FM_WANT_TEXT, false, NULL},
    {"rejectionFeedback", FM_WANT_TEXT, false, NULL},
    {"createdAt", FM_WANT_DATE, false, NULL},
    {"updatedAt", FM_WANT_DATE, false, NULL},
    {"assessmentData", FM_WANT_MAP, false, NULL},
};
static const char *const fixed[] = {"entityId", "incidentId", "assessmentType", NULL}; /* rule 16 */

#define BOOL(name) {name, FM_WANT_BOOL, false, NULL}
#define COUNT(name) {name, FM_WANT_COUNT, false, NULL}
#define LIST(name) {name, FM_WANT_STRINGS, false, NULL}
#define ONE_OF(name, words) {name, FM_WANT_ENUM, false, words}
static const struct fm_field_rule health[] = {
    BOOL("hasFunctionalClinic"), BOOL("hasEmergencyServices"), BOOL("hasMedicalSupplies"), BOOL("hasTrainedStaff"),
    BOOL("hasMaternalChildServices"), COUNT("numberHealthFacilities"), COUNT("qualifiedHealthWorkers"),
    LIST("healthFacilityTypes"), LIST("commonHealthIssues"),
};
static const struct fm_field_rule wash[] = {
    BOOL("isWaterSufficient"), BOOL("hasCleanWaterAccess"), BOOL("areLatrinesSufficient"), BOOL("hasHandwashingFacilities"),
    LIST("waterSources"), ONE_OF("waterQuality", "SAFE CONTAMINATED UNKNOWN"), COUNT("numberToilets"), LIST("toiletTypes"),
    BOOL("hasSolidWasteDisposal"),
};
static const struct fm_field_rule shelter[] = {
    BOOL("areSheltersSufficient"), BOOL("hasSafeStructures"), BOOL("hasWeatherProtection"), LIST("shelterTypes"),
    COUNT("numberShelters"), ONE_OF("shelterCondition", "GOOD FAIR POOR CRITICAL"), BOOL("needsRepair"),
    BOOL("needsTarpaulin"), BOOL("needsBedding"),
};
static const struct fm_field_rule food[] = {
    BOOL("isFoodSufficient"), BOOL("hasRegularMealAccess"), BOOL("hasInfantNutrition"), LIST("foodSources"),
    COUNT("availableFoodDurationDays"), COUNT("additionalFoodRequiredPersons"), COUNT("additionalFoodRequiredHouseholds"),
    COUNT("malnutritionCases"), BOOL("feedingProgramExists"),
};
static const struct fm_field_rule security[] = {
    BOOL("isSafeFromViolence"), BOOL("hasSecurityPresence"), BOOL("hasLighting"), LIST("securityThreats"),
    {"securityProvider", FM_WANT_TEXT, false, NULL}, COUNT("incidentsReported"), BOOL("restrictedMovement"),
};
static const struct fm_field_rule population[] = {
    COUNT("totalHouseholds"), COUNT("totalPopulation"), COUNT("populationMale"), COUNT("populationFemale"),
    COUNT("populationUnder5"), COUNT("pregnantWomen"), COUNT("lactatingMothers"), COUNT("personWithDisability"),
    COUNT("elderlyPersons"), COUNT("separatedChildren"), COUNT("numberLivesLost"), COUNT("numberInjured"),
};
/* In the order of TYPES. */
static const struct {
    const struct fm_field_rule *rules;
    size_t count;
} questions[] = {{FM_FIELD_RULES(health)}, {FM_FIELD_RULES(wash)},     {FM_FIELD_RULES(shelter)},
                 {FM_FIELD_RULES(food)},   {FM_FIELD_RULES(security)}, {FM_FIELD_RULES(population)}};

/* type_from: the document that says the type, which an update's payload may leave out. */
static int check(struct fm_job *job, struct fm_span type_from)
{
    struct fm_span type, data;
    size_t at;
    char why[200];
    if (fm_doc_get(job->payload, "assessmentData", &data) != FM_OK || !fm_doc_has(job->payload, "assessmentData"))
        return FM_OK; /* missing answers are allowed */
    if (fm_doc_str(job->payload, "assessmentType", &type) != FM_OK &&
        fm_doc_str(type_from, "assessmentType", &type) != FM_OK)
        return FM_OK;
    if (!fm_fields_word(TYPES, type, &at))
        return FM_OK;
    if (fm_fields_check(data, questions[at].rules, questions[at].count, "assessmentData.", why, sizeof why) != FM_OK)
        return fm_submit_refuse(&job->result, "field", "%s", why);
    return FM_OK;
}

const struct fm_kind_spec fm_assessment_spec = {
    .kind = FM_KIND_ASSESSMENT,
    .title = "Assessment",
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .writer = "assessorId",
    .fixed = fixed,
    .entity = true,
    .verified = true,
    .check = check,
};
