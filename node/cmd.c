/* The one table of commands. */
#include "node/cmd.h"

#include <string.h>

#include "replication/error.h"

const struct fm_command fm_commands[] = {
    {"status", "Look", "", "one look at this node", NULL, fm_cmd_status},
    {"init", "First steps",
     "--name NAME --role camp|relay|coordinator [--auto-settle never|disjoint] [--join-mesh] [--listen ADDR:PORT] [--http "
     "ADDR:PORT] [--peer NODE@ADDR:PORT]…",
     "make a new node: keys, config, store", "name= role= listen= http= peer= auto-settle= join-mesh", fm_cmd_init},
    {"run", "First steps", "", "the node in the foreground", NULL, fm_cmd_run},
    {"stop", "First steps", "", "end the running node", NULL, fm_cmd_stop},
    {"peers", "Look", "", "peers and how far they are in step", NULL, fm_cmd_peers},
    {"paths", "Look", "", "where this node keeps what, and what it listens on", NULL, fm_cmd_paths},
    {"digest", "Look", "", "digests of the sets held and of the state: equal on nodes that are in step", NULL,
     fm_cmd_digest},
    {"join", "People", "--request FILE | GRANT", "ask to join a mesh, or take in the grant", "request=", fm_cmd_join},
    {"admit", "People", "FILE --role camp|relay|coordinator [--sealed] [--may-invite] --out GRANT",
     "let a device in (coordinator)", "role= sealed may-invite out=", fm_cmd_admit},
    {"devices", "People", "", "devices of the mesh", NULL, fm_cmd_devices},
    {"revoke", "People", "DEVICE", "cut a device off; what it wrote until now stays (coordinator)", "dry-run",
     fm_cmd_revoke},
    {"adopt", "People", "SET…", "let sets count that a revocation had put aside (coordinator)", NULL, fm_cmd_adopt},
    {"people", "People", "", "people and their roles", NULL, fm_cmd_people},
    {"people add", "People", "NAME --role R… [--id ID]", "add a person (coordinator)", "role= id=", fm_cmd_people_add},
    {"people assign", "People", "PERSON --entity ENTITY --role R", "assign a person to an entity (coordinator)",
     "entity= role= off", fm_cmd_people_assign},
    {"records", "Data", "[--type T] [--entity ID] [--deleted] [--limit N] [--duplicates]", "list records",
     "type= entity= deleted limit= duplicates", fm_cmd_records},
    {"show", "Data", "ID", "a record with its versions and conflicts", NULL, fm_cmd_show},
    {"pull", "Data", "[--as USER] [--cursor C] [--since TIME] [--limit N]", "what a person's tablet would get",
     "as= cursor= since= limit=", fm_cmd_pull},
    {"put", "Data", "FILE|- [--as USER]", "submit changes: a JSON list, {changes: […]}, or one change a line",
     "as= batch=", fm_cmd_put},
    {"import csv", "Move data", "FILE --map MAP [--as USER] [--where COLUMN=VALUE]… [--only TYPE] [--dry-run]",
     "turn a table into records; again changes nothing, an edited row becomes an update",
     "map= as= where= only= dry-run limit=", fm_cmd_import},
    {"sync", "Move data", "[PEER|NODE@ADDR:PORT] [--wait]", "meet peers now", "wait timeout= leave", fm_cmd_sync},
    {"conflicts", "Conflicts", "[--all] [--limit N]", "records changed in two places", "all limit=", fm_cmd_conflicts},
    {"conflicts show", "Conflicts", "N", "both sides of one conflict, field by field", "all", fm_cmd_conflicts_show},
    {"conflicts resolve", "Conflicts", "N [--take A|B] [--merge] [--field f=A|B]… [--set f=VALUE]… [--note T] [--dry-run]",
     "settle a conflict (coordinator)", "take= merge field= set= note= dry-run as=", fm_cmd_conflicts_resolve},
    {"backup", "Keep safe", "FILE", "a consistent copy of the store; holds no identity", NULL, fm_cmd_backup},
    {"restore", "Keep safe", "FILE", "put a backup in place of the store (the node must be stopped)", NULL, fm_cmd_restore},
    {"verify", "Keep safe", "[--repair]", "check every byte of the store against the signed log; mend it", "repair",
     fm_cmd_verify},
    {"reindex", "Keep safe", "", "build every index again from the signed log", NULL, fm_cmd_reindex},
    {"version", "Look", "", "program, format and protocol versions", NULL, fm_cmd_version},
    {"help", "Look", "[COMMAND|CODE]", "this, a command, or an error code", NULL, fm_cmd_help},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};

static void print_groups(void)
{
    static const char *const groups[] = {"First steps", "Look", "People", "Data", "Conflicts", "Move data", "Keep safe"};
    puts("fieldmesh - keep field records in step between camps, relays and a hub\n");
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
        printf("  %-13s", groups[g]);
        bool first = true;
        for (const struct fm_command *c = fm_commands; c->name != NULL; c++)
            if (strcmp(c->group, groups[g]) == 0 && strcmp(c->name, "help") != 0) {
                printf("%s%s", first ? " " : ", ", c->name);
                first = false;
            }
        puts("");
    }
    puts("\n  fieldmesh COMMAND --help   more on one command      every command takes --json and --data DIR\n"
         "Examples\n"
         "  fieldmesh init --name \"Dikwa camp\" --role camp\n"
         "  fieldmesh sync \"Maryam's laptop@10.42.0.7:7717\" --wait");
}

int fm_cmd_help(struct fm_cmd *cmd)
{
    if (cmd->arg_count == 0) {
        print_groups();
        return FM_EXIT_DONE;
    }
    char name[128] = "";
    for (size_t i = 0; i < cmd->arg_count; i++)
        snprintf(name + strlen(name), sizeof name - strlen(name), "%s%s", i == 0 ? "" : " ", cmd->args[i]);
    for (const struct fm_command *c = fm_commands; c->name != NULL; c++)
        if (strcmp(c->name, name) == 0) {
            printf("fieldmesh %s %s\n  %s\n", c->name, c->args, c->what);
            return FM_EXIT_DONE;
        }
    if (fm_say_text_of(name) != NULL) {
        printf("%s: %s (exit %d)\n", name, fm_say_text_of(name), fm_say_exit_of(name));
        return FM_EXIT_DONE;
    }
    return fm_say_error(cmd, "usage", "no command and no error code of this name", NULL, "fieldmesh help");
}

int fm_cmd_version(struct fm_cmd *cmd)
{
    if (cmd->json) {
        json_t *out = json_pack("{s:s, s:i, s:i}", "version", FM_PROGRAM_VERSION, "format", (int)FM_FORMAT, "protocol", 1);
        fm_say_json(out);
        json_decref(out);
    } else {
        printf("fieldmesh %s   format %u, protocol 1\n", FM_PROGRAM_VERSION, FM_FORMAT);
    }
    return FM_EXIT_DONE;
}
