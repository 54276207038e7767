#include "replication/submit.h"

#include <assert.h>
#include <stdarg.h>

#include "replication/uuid.h"

int fm_submit_refuse(struct fm_result *res, const char *code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    res->status = FM_FAILED;
    (void)snprintf(res->code, sizeof res->code, "%s", code);
    (void)vsnprintf(res->message, sizeof res->message, format, args);
    va_end(args);
    return FM_REFUSED;
}

int fm_submit_too_large(struct fm_result *res)
{
    return fm_submit_refuse(res, "too-large", "one change holds at most %u KiB, %u fields, %u values and %u levels",
                            FM_CHANGE_BYTES_MAX / 1024, FM_MAP_ENTRIES_MAX, FM_NODES_MAX, FM_DEPTH_MAX);
}

int fm_submit_report(struct fm_repl *r, struct fm_result *res, int rc)
{
    if (rc < 0)
        return rc;
    if (res->status == FM_FAILED) { /* rule 2: serverId "" */
        res->has_record = false;
        res->has_version = false;
        res->document = fm_span(NULL, 0);
    }
    struct fm_action action = {.report = FM_REPORT_RESULT, .result = res, .ticket = res->ticket};
    return fm_emit_report(r, &action);
}

const char *fm_submit_clip(char out[68], struct fm_span text)
{
    size_t len = text.len;
    if (len > 60) {
        len = 60;
        while (len > 0 && (text.data[len] & 0xc0) == 0x80)
            len--;
    }
    if (len > 0)
        memcpy(out, text.data, len);
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)out[i] < 0x20)
            out[i] = '?';
    memcpy(out + len, len < text.len ? "..." : "", len < text.len ? 4 : 1);
    return out;
}

const struct fm_kind_spec *fm_submit_spec(int kind)
{
    static const struct fm_kind_spec *const specs[] = {&fm_assessment_spec, &fm_response_spec, &fm_entity_spec,
                                                       &fm_assignment_spec, &fm_user_spec,     &fm_policy_spec};
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++)
        if (specs[i]->kind == kind)
            return specs[i];
    return NULL;
}

int fm_submit_replace(struct fm_job *job, const char *key, struct fm_span text)
{
    struct fm_draft draft;
    fm_draft_init(&draft, &job->r->scratch);
    size_t count;
    struct fm_field *fields = fm_arena_take(&job->r->scratch, FM_MAP_ENTRIES_MAX * sizeof *fields);
    if (fields == NULL || draft.error != FM_OK)
        return FM_ENOMEM;
    fm_doc_fields(job->payload, fields, &count); /* not fm_draft_lay: a nil has to stay one */
    memcpy(draft.fields, fields, count * sizeof *fields);
    draft.count = count;
    fm_draft_str(&draft, key, text);
    int rc = fm_draft_write(&draft, &job->payload);
    return rc == FM_ELIMIT ? fm_submit_too_large(&job->result) : rc;
}

/* Rule 9: any case in, lower case out, for every field that holds a record's id. */
static int lower_ids(struct fm_job *job)
{
    static const char *const names[] = {"id", "entityId", "userId", "assessmentId"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct fm_span text;
        struct fm_record_id id;
        char lower[37];
        if (fm_doc_str(job->payload, names[i], &text) != FM_OK || fm_uuid_parse(&id, text) != FM_OK)
            continue;
        fm_uuid_text(lower, &id);
        if (fm_span_eq(text, fm_span_str(lower)))
            continue;
        int rc = fm_submit_replace(job, names[i], fm_span_str(lower));
        if (rc != FM_OK)
            return rc;
    }
    return FM_OK;
}

int fm_submit_number(struct fm_job *job)
{
    const struct fm_submission *s = job->s;
    if (!s->has_version && job->verb == FM_CREATE) {
        job->number = 1;
        return FM_OK;
    }
    if (!s->has_version)
        return fm_submit_refuse(&job->result, "version", "versionNumber: required: that of the version you changed, plus 1");
    if (s->version < 1 || s->version > (int64_t)FM_VERSION_MAX)
        return fm_submit_refuse(&job->result, "version", "versionNumber: want a whole number from 1 to %u", FM_VERSION_MAX);
    job->number = (uint32_t)s->version;
    return FM_OK;
}

int fm_submit_check(struct fm_job *job, bool whole, struct fm_span type_from)
{
    const struct fm_kind_spec *spec = job->spec;
    char why[200];
    int rc = fm_fields_check(job->payload, spec->fields, spec->field_count, "", why, sizeof why);
    if (rc == FM_OK && whole)
        rc = fm_fields_complete(job->payload, spec->fields, spec->field_count, why, sizeof why);
    if (rc != FM_OK)
        return fm_submit_refuse(&job->result, "field", "%s", why);
    for (size_t i = 0; i < spec->field_count; i++) { /* null clears, but not what has to be there */
        struct fm_span packed;
        if (spec->fields[i].required && fm_doc_get(job->payload, spec->fields[i].name, &packed) == FM_OK &&
            !fm_doc_has(job->payload, spec->fields[i].name))
            return fm_submit_refuse(&job->result, "field", "%s: required", spec->fields[i].name);
    }
    return spec->check == NULL ? FM_OK : spec->check(job, type_from);
}

int fm_submit_access(struct fm_job *job, bool from_payload)
{
    if (!job->spec->entity)
        return FM_OK;
    struct fm_span text = fm_span(NULL, 0);
    struct fm_record_id entity = job->stored.head.entity; /* zeros if it has none: nobody is assigned to that */
    if (from_payload) {
        (void)fm_doc_str(job->payload, "entityId", &text);
        int rc = fm_uuid_parse(&entity, text);
        assert(rc == FM_OK); /* fm_submit_check saw it */
    }
    return fm_actor_assigned(job->r, &job->actor, &entity, &job->result);
}

/* The record of this id if it is shown. */
static int try_record(struct fm_job *job, const struct fm_record_id *id)
{
    return fm_stored_load(job->r, job->spec->kind, id, &job->stored);
}

static int try_offline(struct fm_job *job)
{
    struct fm_repl *r = job->r;
    struct fm_record_id id;
    int rc = r->port->alias(r->port->ctx, job->spec->kind, job->offline_id, &id); /* rule 54: the lower id */
    if (rc == FM_OK)
        return try_record(job, &id);
    if (rc != FM_ENOTFOUND)
        return rc;
    fm_uuid_v8(&id, r->crypto, &r->self.mesh, job->spec->kind, job->offline_id); /* what is shown may have lost it */
    return try_record(job, &id);
}

int fm_submit_target(struct fm_job *job)
{
    struct fm_record_id id;
    struct fm_span text;
    int rc = FM_OK;
    job->stored = (struct fm_stored){.kind = job->spec->kind};
    bool has_id = fm_doc_has(job->payload, "id");
    if (has_id && (fm_doc_str(job->payload, "id", &text) != FM_OK || fm_uuid_parse(&id, text) != FM_OK))
        return fm_submit_refuse(&job->result, "field", "id: want a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057");
    if (job->spec->identify != NULL) {
        struct fm_record_id own;
        bool derived = false;
        rc = job->spec->identify(job, &own, &derived);
        if (rc != FM_OK)
            return rc;
        if (derived && has_id && !fm_id_eq(&own, &id))
            return fm_submit_refuse(&job->result, "field", "id: it follows from the other fields; leave it out");
        assert(derived || has_id);
        return try_record(job, derived ? &own : &id);
    }
    if (job->offline_id.len > 0)
        rc = try_offline(job);
    if (rc == FM_OK && !job->stored.shown && has_id) /* rule 12: a miss on one tries the other */
        rc = try_record(job, &id);
    return rc;
}

int fm_submit_answer(struct fm_job *job, const char *conflict, const char *success)
{
    struct fm_repl *r = job->r;
    struct fm_stored now;
    uint32_t open_before = job->stored.shown ? job->stored.head.open : 0;
    int rc = fm_stored_load(r, job->spec->kind, &job->stored.record, &now);
    if (rc != FM_OK)
        return rc;
    bool won = now.shown && fm_id_eq(&now.head.winner, &job->result.version);
    job->result.status = won || conflict == NULL ? FM_SUCCESS : FM_CONFLICT;
    job->result.has_record = true;
    job->result.record = job->stored.record;
    job->result.opened_conflict = now.shown && now.head.open > open_before;
    if (job->result.status == FM_CONFLICT)
        job->result.document = now.document;
    (void)snprintf(job->result.message, sizeof job->result.message, "%s", won || conflict == NULL ? success : conflict);
    return FM_OK;
}

/* The actor may do this kind of change at this node at all (rule 55). */
static int allowed(struct fm_job *job)
{
    if (job->spec->operators && !(job->actor.builtin && job->actor.decides))
        return fm_submit_refuse(&job->result, "coordinator-only", "only the operator of a coordinator node may do this");
    return job->spec->coordinators ? fm_actor_decides(job->r, &job->actor, &job->result) : FM_OK;
}

static int read_job(struct fm_job *job)
{
    const struct fm_submission *s = job->s;
    char clip[68];
    int kind = fm_kind_from(s->type);
    if (kind == FM_KIND_MEDIA)
        return fm_submit_refuse(&job->result, "not-supported", "Unsupported action: %s: this version takes in no media",
                                fm_submit_clip(clip, s->action));
    job->spec = fm_submit_spec(kind);
    if (job->spec == NULL) /* rule 4 */
        return fm_submit_refuse(&job->result, "unknown-type", "Unknown sync type: %s", fm_submit_clip(clip, s->type));
    int verb = fm_action_from(s->action);
    if (verb != FM_CREATE && verb != FM_UPDATE && verb != FM_DELETE) /* rule 5 */
        return fm_submit_refuse(&job->result, "unknown-action", "Unsupported action: %s", fm_submit_clip(clip, s->action));
    job->verb = (uint8_t)verb;
    if (fm_repl_role(job->r) == FM_ROLE_NONE)
        return fm_submit_refuse(&job->result, "not-joined", "this node has no grant yet; nothing was stored");
    if (fm_doc_check(s->data) != FM_OK)
        return fm_submit_refuse(&job->result, "field", "data: want an object within the limits of one change");
    if (job->offline_id.len == 0 && fm_doc_str(s->data, "offlineId", &job->offline_id) != FM_OK)
        job->offline_id = fm_span(NULL, 0);
    if (job->offline_id.len > FM_OFFLINE_ID_BYTES_MAX) /* rule 9 */
        return fm_submit_refuse(&job->result, "field", "offlineId: want at most %u bytes", FM_OFFLINE_ID_BYTES_MAX);
    job->result.offline_id = job->offline_id;
    job->payload = s->data;
    return lower_ids(job);
}

static int run_job(struct fm_job *job)
{
    int rc = read_job(job);
    if (rc == FM_OK)
        rc = fm_actor_find(job->r, job->s->actor, &job->actor, &job->result);
    if (rc == FM_OK)
        rc = allowed(job);
    if (rc == FM_OK)
        rc = fm_submit_number(job);
    if (rc == FM_OK && job->spec->refine != NULL)
        rc = job->spec->refine(job);
    if (rc == FM_OK)
        rc = fm_submit_target(job);
    if (rc == FM_OK && (job->stored.count >= FM_RECORD_VERSIONS_WRITE_MAX ||
                        job->stored.head.versions > FM_RECORD_VERSIONS_MAX))
        return fm_submit_refuse(&job->result, "record-full", "this record has %u versions or more and takes no other",
                                FM_RECORD_VERSIONS_WRITE_MAX);
    if (rc != FM_OK)
        return rc;
    if (job->verb == FM_CREATE)
        return fm_create_run(job);
    return job->verb == FM_UPDATE ? fm_update_run(job) : fm_delete_run(job);
}

int fm_submit(struct fm_repl *r, const struct fm_submission *s)
{
    struct fm_job *job = fm_arena_take(&r->scratch, sizeof *job);
    if (job == NULL)
        return FM_ENOMEM;
    *job = (struct fm_job){.r = r, .s = s, .offline_id = s->offline_id};
    job->result = (struct fm_result){.ticket = s->ticket, .offline_id = s->offline_id};
    fm_write_now(r, job->now);
    return fm_submit_report(r, &job->result, run_job(job)); /* rule 3: one result each */
}
