/* Deterministic records for measuring, one change a line for `fieldmesh put -`:
 *
 *   workload entities N [seed]   the entities that N records speak of
 *   workload records  N [seed]   N records: about 77 % assessments, 23 % responses to them, 815 bytes of JSON each
 *
 * The same seed gives the same bytes. The numbers are drawn in the order of the generator that the measurements of other
 * systems used (mulberry32), so that the records are alike; only names and values that RULES.md "Document fields" wants
 * otherwise differ. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PEOPLE 40
#define BASE_MS INT64_C(1767225600000) /* 2026-01-01 */
#define DAY_MS 86400000.0
#define COUNT(list) (sizeof(list) / sizeof *(list))
#define PICK(list) (list)[(size_t)(fraction() * (double)COUNT(list))]

static uint32_t state;

static double fraction(void) /* mulberry32: 0 up to 1 */
{
    state += 0x6D2B79F5u;
    uint32_t t = state;
    t = (t ^ (t >> 15)) * (t | 1u);
    t ^= t + (t ^ (t >> 7)) * (t | 61u);
    return (double)(t ^ (t >> 14)) / 4294967296.0;
}

static long whole(long low, long high)
{
    return low + (long)(fraction() * (double)(high - low + 1));
}

static bool chance(double p)
{
    return fraction() < p;
}

struct uuid {
    char text[37];
};

static struct uuid uuid(void)
{
    static const char hex[] = "0123456789abcdef";
    struct uuid out = {""};
    for (size_t i = 0; i < 36; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23)
            out.text[i] = '-';
        else if (i == 14)
            out.text[i] = '4';
        else if (i == 19)
            out.text[i] = hex[8 + (size_t)(fraction() * 4)];
        else
            out.text[i] = hex[(size_t)(fraction() * 16)];
    }
    return out;
}

/* --- one line of JSON; nothing in it needs escapes --- */

static bool first_field;

static void name(const char *key)
{
    printf("%s\"%s\":", first_field ? "" : ",", key);
    first_field = false;
}

static void text(const char *key, const char *value)
{
    name(key);
    printf("\"%s\"", value);
}

static void number(const char *key, long value)
{
    name(key);
    printf("%ld", value);
}

static void flag(const char *key, bool value)
{
    name(key);
    fputs(value ? "true" : "false", stdout);
}

static void pair(const char *key, const char *a, const char *b)
{
    name(key);
    printf("[\"%s\",\"%s\"]", a, b);
}

static void place(const char *key, double value) /* six digits at most, as a GPS gives them */
{
    char digits[32];
    int len = snprintf(digits, sizeof digits, "%.6f", value);
    while (len > 0 && digits[len - 1] == '0')
        digits[--len] = '\0';
    name(key);
    printf("%s%s", digits, digits[len - 1] == '.' ? "0" : "");
}

static void date(const char *key, int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm t;
    char day[32];
    gmtime_r(&seconds, &t);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &t);
    name(key);
    printf("\"%s.%03dZ\"", day, (int)(ms % 1000));
}

static void open_map(const char *key)
{
    if (key != NULL)
        name(key);
    putchar('{');
    first_field = true;
}

static void close_map(void)
{
    putchar('}');
    first_field = false;
}

/* --- what an assessment says --- */

static const char *const issues[] = {"malaria", "acute watery diarrhoea", "measles", "malnutrition", "respiratory infection", "injury"};
static const char *const water[] = {"borehole", "piped", "tanker", "river", "rain catchment", "unprotected well"};
static const char *const sources[] = {"market", "own stock", "aid distribution", "host community", "fishing"};
static const char *const shelters[] = {"tent", "tarpaulin", "collective centre", "host family", "damaged house", "open air"};
static const char *const facilities[] = {"primary", "post", "hospital", "mobile"};
static const char *const quality[] = {"SAFE", "CONTAMINATED", "UNKNOWN"};
static const char *const types[] = {"HEALTH", "WASH", "SHELTER", "FOOD", "SECURITY", "POPULATION"};
static const char *const priorities[] = {"CRITICAL", "HIGH", "MEDIUM", "LOW"};
static const char *const states[] = {"DRAFT", "SUBMITTED", "VERIFIED"};
static const char *const notes[] = {
    "Road cut at the bridge; boats needed.",           "Clinic closed since the flood.",
    "Community leader met on site.",                   "Second visit requested by the camp committee.",
    "Distribution point moved to the school.",         "Latrines full, risk of overflow.",
    "New arrivals from the north.",                    "No security incident this week.",
    "Water point queue longer than two hours.",        "Women asked for separate washing space.",
};

static void two(const char *key, const char *const *list, size_t count)
{
    const char *a = list[(size_t)(fraction() * (double)count)], *b = list[(size_t)(fraction() * (double)count)];
    pair(key, a, b);
}

static void health(void)
{
    flag("hasFunctionalClinic", chance(0.5));
    number("numberHealthFacilities", whole(0, 6));
    text("healthFacilityType", PICK(facilities));
    number("qualifiedHealthWorkers", whole(0, 40));
    flag("hasMedicineSupply", chance(0.5));
    flag("hasMedicalSupplies", chance(0.5));
    flag("hasMaternalChildServices", chance(0.5));
    two("commonHealthIssues", issues, COUNT(issues));
}

static void wash(void)
{
    flag("isWaterSufficient", chance(0.5));
    two("waterSources", water, COUNT(water));
    text("waterQuality", PICK(quality));
    number("litresPerPersonPerDay", whole(2, 30));
    number("functionalLatrinesAvailable", whole(0, 120));
    flag("areLatrinesSufficient", chance(0.5));
    flag("hasHandwashingFacilities", chance(0.5));
    flag("hasOpenDefecationConcerns", chance(0.5));
}

static void shelter(void)
{
    flag("areSheltersSufficient", chance(0.5));
    two("shelterTypes", shelters, COUNT(shelters));
    number("numberSheltersRequired", whole(0, 900));
    flag("areOvercrowded", chance(0.5));
    flag("provideWeatherProtection", chance(0.5));
    number("blanketsNeeded", whole(0, 4000));
    number("householdsWithoutShelter", whole(0, 600));
    text("requiredShelterType", PICK(shelters));
}

static void food(void)
{
    flag("isFoodSufficient", chance(0.5));
    flag("hasRegularMealAccess", chance(0.5));
    flag("hasInfantNutrition", chance(0.5));
    two("foodSources", sources, COUNT(sources));
    number("availableFoodDurationDays", whole(0, 60));
    number("additionalFoodRequiredPersons", whole(0, 5000));
    number("additionalFoodRequiredHouseholds", whole(0, 900));
    number("mealsPerDay", whole(0, 3));
}

static void security(void)
{
    flag("isSafeFromViolence", chance(0.5));
    flag("gbvCasesReported", chance(0.1));
    flag("hasSecurityPresence", chance(0.5));
    flag("hasProtectionReportingMechanism", chance(0.5));
    flag("vulnerableGroupsHaveAccess", chance(0.5));
    flag("hasLighting", chance(0.5));
    number("incidentsReported", whole(0, 25));
    number("checkpointsOnRoad", whole(0, 9));
}

static void population(void)
{
    number("totalHouseholds", whole(20, 3000));
    number("totalPopulation", whole(100, 16000));
    number("populationMale", whole(50, 8000));
    number("populationFemale", whole(50, 8000));
    number("populationUnder5", whole(10, 3000));
    number("pregnantWomen", whole(0, 400));
    number("lactatingMothers", whole(0, 400));
    number("personWithDisability", whole(0, 300));
    number("elderlyPersons", whole(0, 900));
    number("separatedChildren", whole(0, 60));
}

/* --- records --- */

struct world {
    struct uuid *entities;
    size_t entity_count;
    char people[PEOPLE][32];
    bool assessed;
    struct uuid assessment, entity;
};

static void assessment(struct world *w, const struct uuid *id, int64_t at)
{
    static void (*const answers[])(void) = {health, wash, shelter, food, security, population};
    size_t type = (size_t)(fraction() * (double)COUNT(types));
    w->assessed = true;
    w->assessment = *id;
    w->entity = w->entities[(size_t)(fraction() * (double)w->entity_count)];
    text("entityId", w->entity.text);
    text("assessorId", w->people[(size_t)(fraction() * PEOPLE)]);
    text("assessmentType", types[type]);
    date("assessmentDate", at);
    text("status", PICK(states));
    open_map("gps");
    place("lat", 11 + fraction() * 2);
    place("lon", 13 + fraction() * 2);
    number("accuracy", whole(3, 60));
    close_map();
    long ward = whole(1, 40), lga = whole(1, 27);
    name("location");
    printf("\"Ward %ld, LGA %ld\"", ward, lga);
    flag("autoApproved", chance(0.2));
    number("mediaCount", whole(0, 5));
    open_map("assessmentData");
    answers[type]();
    close_map();
    text("notes", PICK(notes));
}

static void response(struct world *w, int64_t at)
{
    static const char *const goods[] = {"blanket", "water 20 l", "ration kit", "tarpaulin", "hygiene kit", "ORS sachet"};
    static const char *const units[] = {"piece", "kit", "litre"};
    static const char *const statuses[] = {"PLANNED", "DELIVERED"};
    text("assessmentId", w->assessment.text);
    text("entityId", w->entity.text);
    text("responderId", w->people[(size_t)(fraction() * PEOPLE)]);
    text("type", PICK(types));
    text("status", PICK(statuses));
    date("plannedDate", at + (int64_t)DAY_MS);
    date("responseDate", at + 2 * (int64_t)DAY_MS);
    name("items");
    putchar('[');
    for (int i = 0; i < 2; i++) {
        fputs(i == 0 ? "" : ",", stdout);
        open_map(NULL);
        text("name", PICK(goods));
        text("unit", PICK(units));
        number("quantity", whole(1, 2000));
        close_map();
    }
    putchar(']');
    number("personsServed", whole(10, 5000));
    number("householdsServed", whole(2, 900));
    place("deliveryLat", 11 + fraction() * 2);
    place("deliveryLon", 13 + fraction() * 2);
    text("description", PICK(notes));
}

static void record(struct world *w)
{
    struct uuid id = uuid();
    int64_t at = BASE_MS + (int64_t)floor(fraction() * 180 * DAY_MS);
    bool answers = w->assessed && chance(0.3 / 1.3);
    printf("{\"type\":\"%s\",\"action\":\"create\",\"versionNumber\":1,\"data\":", answers ? "response" : "assessment");
    open_map(NULL);
    text("id", id.text);
    text("offlineId", uuid().text);
    number("versionNumber", 1);
    text("syncStatus", "PENDING");
    text("priority", PICK(priorities));
    date("createdAt", at);
    date("updatedAt", at + whole(1000, 900000));
    if (answers)
        response(w, at);
    else
        assessment(w, &id, at);
    close_map();
    puts("}");
}

static void entity(const struct uuid *id, size_t number_of)
{
    printf("{\"type\":\"entity\",\"action\":\"create\",\"versionNumber\":1,\"data\":{\"id\":\"%s\",\"name\":\"Site %zu\","
           "\"type\":\"CAMP\",\"lga\":\"LGA %zu\",\"ward\":\"Ward %zu\",\"autoApproveEnabled\":false,\"isActive\":true}}\n",
           id->text, number_of, number_of % 27 + 1, number_of % 40 + 1);
}

int main(int argc, char **argv)
{
    long count = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
    bool entities = argc > 1 && strcmp(argv[1], "entities") == 0;
    if (count < 1 || count > 100000000 || (!entities && strcmp(argv[1], "records") != 0)) {
        fprintf(stderr, "usage: workload entities|records N [seed]\n");
        return 2;
    }
    state = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 42;
    struct world w = {.entity_count = count > 400 ? ((size_t)count + 49) / 50 : 8};
    w.entities = calloc(w.entity_count, sizeof *w.entities);
    if (w.entities == NULL)
        return 1;
    for (size_t i = 0; i < w.entity_count; i++)
        w.entities[i] = uuid();
    for (size_t i = 0; i < PEOPLE; i++)
        snprintf(w.people[i], sizeof w.people[i], "user-%ld", whole(1000, 9999));
    for (size_t i = 0; entities && i < w.entity_count; i++)
        entity(&w.entities[i], i);
    for (long i = 0; !entities && i < count; i++)
        record(&w);
    free(w.entities);
    return fflush(stdout) == 0 ? 0 : 1;
}
