/* See db.h. */
#include "store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"

#define DB_BUSY_MS 10000
#define DB_KEPT_MAX 48
#define DB_APPLICATION_ID 0x436c6f63 /* "Cloc": what `file` shows */

struct clo_db {
    sqlite3 *sql;     /* owned */
    clo_stmt version; /* PRAGMA data_version */
    sqlite3_stmt *kept[DB_KEPT_MAX]; /* owned: closed statements, ready to be opened again */
    size_t n_kept;
};

/* Step i brings tables of version i to i + 1 (PRAGMA user_version). Steps are only ever added. */
static const char *const migrations[] = {
    /* A key's row stays when it is revoked, so that its id is never taken for another's. `models` is NULL (all) or names
     * with a newline after each. Numbers: NULL is no limit. `books.keys` grows with every change of keys. */
    "CREATE TABLE keys (id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, salt BLOB NOT NULL, hash BLOB NOT NULL,"
    " tokens_per_day INTEGER, concurrent INTEGER, models TEXT, created INTEGER NOT NULL, expires INTEGER,"
    " revoked INTEGER) STRICT, WITHOUT ROWID;"
    "CREATE UNIQUE INDEX keys_by_name ON keys (name) WHERE revoked IS NULL;"
    "CREATE TABLE key_usage (name TEXT NOT NULL, day INTEGER NOT NULL, prompt INTEGER NOT NULL,"
    " output INTEGER NOT NULL, requests INTEGER NOT NULL, PRIMARY KEY (name, day)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE books (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "INSERT INTO books VALUES ('keys', 0);"
    /* The end of the audit log as of the last transaction: what was appended before is on disk. */
    "CREATE TABLE audit_head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, digest BLOB NOT NULL)"
    " STRICT;",
    /* Whether a key may change models. */
    "ALTER TABLE keys ADD COLUMN admin INTEGER NOT NULL DEFAULT 0;",
    /* Accounts of the hub: users and organisations; an id is never given twice. Their limits are as those of keys. A key
     * with a role is a token of an account, whose row goes on when the account is removed. */
    "CREATE TABLE accounts (id INTEGER PRIMARY KEY AUTOINCREMENT, oid TEXT NOT NULL UNIQUE,"
    " name TEXT NOT NULL UNIQUE COLLATE NOCASE, kind TEXT NOT NULL CHECK (kind IN ('user', 'org')), fullname TEXT,"
    " email TEXT, password TEXT, admin INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL, tokens_per_day INTEGER,"
    " concurrent INTEGER, models TEXT) STRICT;"
    "CREATE TABLE members (org INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,"
    " user INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,"
    " role TEXT NOT NULL CHECK (role IN ('admin', 'write', 'contributor', 'read')), PRIMARY KEY (org, user))"
    " STRICT, WITHOUT ROWID;"
    "CREATE INDEX members_by_user ON members (user);"
    "ALTER TABLE keys ADD COLUMN account INTEGER REFERENCES accounts ON DELETE SET NULL;"
    "ALTER TABLE keys ADD COLUMN role TEXT CHECK (role IN ('read', 'write'));"
    "ALTER TABLE keys ADD COLUMN scope TEXT;"
    "ALTER TABLE keys ADD COLUMN last_used INTEGER;"
    "DROP INDEX keys_by_name;"
    "CREATE UNIQUE INDEX keys_by_name ON keys (coalesce(account, 0), name) WHERE revoked IS NULL;"
    /* Who asked for the files of a gated repository, and what was answered. */
    "CREATE TABLE gated_requests (repo INTEGER NOT NULL, user INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,"
    " status TEXT NOT NULL CHECK (status IN ('pending', 'accepted', 'rejected')), time INTEGER NOT NULL, reason TEXT,"
    " fields TEXT, PRIMARY KEY (repo, user)) STRICT, WITHOUT ROWID;",
    /* Repositories; see hub/repo.h and hub/git_db.h. An object's `data` is a zlib stream; `old` is ns/name. */
    "CREATE TABLE repos (id INTEGER PRIMARY KEY AUTOINCREMENT, oid TEXT NOT NULL UNIQUE, type TEXT NOT NULL,"
    " namespace INTEGER NOT NULL REFERENCES accounts, name TEXT NOT NULL COLLATE NOCASE, private INTEGER NOT NULL, gated TEXT NOT NULL,"
    " disabled INTEGER NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL, downloads INTEGER NOT NULL,"
    " likes INTEGER NOT NULL, UNIQUE (type, namespace, name)) STRICT;"
    "CREATE TABLE repo_moves (type TEXT NOT NULL, old TEXT NOT NULL COLLATE NOCASE, repo INTEGER NOT NULL,"
    " PRIMARY KEY (type, old)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX repo_moves_by_repo ON repo_moves (repo);"
    "CREATE TABLE git_objects (oid BLOB PRIMARY KEY NOT NULL, type INTEGER NOT NULL, size INTEGER NOT NULL,"
    " data BLOB NOT NULL) STRICT;"
    "CREATE TABLE repo_objects (repo INTEGER NOT NULL, oid BLOB NOT NULL, PRIMARY KEY (repo, oid)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE refs (repo INTEGER NOT NULL, name TEXT NOT NULL, target BLOB NOT NULL, PRIMARY KEY (repo, name))"
    " STRICT, WITHOUT ROWID;",
    /* Large files of the hub (hub/files.h). A file is here whole, as the terms of xet_files, or both; repo_files says which
     * repositories may name it. `terms` and `chunks` are lists of fixed records (files_impl.h, xorb.h). */
    "CREATE TABLE files (sha256 BLOB PRIMARY KEY NOT NULL, size INTEGER NOT NULL, whole INTEGER NOT NULL, xet BLOB,"
    " created INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX files_by_xet ON files (xet) WHERE xet IS NOT NULL;"
    "CREATE TABLE repo_files (repo INTEGER NOT NULL, sha256 BLOB NOT NULL, PRIMARY KEY (repo, sha256)) STRICT,"
    " WITHOUT ROWID;"
    "CREATE INDEX repo_files_by_file ON repo_files (sha256);"
    "CREATE TABLE xorbs (hash BLOB PRIMARY KEY NOT NULL, n_chunks INTEGER NOT NULL, raw INTEGER NOT NULL,"
    " stored INTEGER NOT NULL, chunks BLOB NOT NULL, created INTEGER NOT NULL) STRICT;"
    "CREATE TABLE xet_chunks (hash BLOB PRIMARY KEY NOT NULL, xorb BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE xet_files (hash BLOB PRIMARY KEY NOT NULL, size INTEGER NOT NULL, terms BLOB NOT NULL,"
    " created INTEGER NOT NULL) STRICT;",
    /* What lists of repositories are made from; see hub/index.h and hub/list.h. A tag's `type` is the number of the
     * repository's. The indexes of repos have what a list asks of a row that it passes over, so that such a row is not read. */
    "CREATE TABLE repo_cards (repo INTEGER PRIMARY KEY, sha BLOB NOT NULL, card TEXT, tags TEXT NOT NULL, config TEXT,"
    " task TEXT NOT NULL, library TEXT NOT NULL) STRICT;"
    "CREATE TABLE repo_tags (type INTEGER NOT NULL, tag TEXT NOT NULL, repo INTEGER NOT NULL, PRIMARY KEY (type, tag, repo))"
    " STRICT, WITHOUT ROWID;"
    "CREATE INDEX repo_tags_by_repo ON repo_tags (repo);"
    "CREATE VIRTUAL TABLE repo_names USING fts5 (name, tokenize = 'trigram');"
    "INSERT INTO repo_names (rowid, name) SELECT r.id, a.name || '/' || r.name FROM repos r JOIN accounts a ON a.id = r.namespace;"
    "CREATE INDEX repos_by_created ON repos (type, created, id, private, disabled, gated, namespace);"
    "CREATE INDEX repos_by_modified ON repos (type, modified, id, private, disabled, gated, namespace);"
    "CREATE INDEX repos_by_downloads ON repos (type, downloads, id, private, disabled, gated, namespace);"
    "CREATE INDEX repos_by_likes ON repos (type, likes, id, private, disabled, gated, namespace);"
    "CREATE INDEX repos_by_namespace ON repos (namespace, type);"
    "CREATE TABLE likes (user INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE, repo INTEGER NOT NULL,"
    " time INTEGER NOT NULL, PRIMARY KEY (user, repo)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX likes_by_repo ON likes (repo, time);",
    /* Discussions and pull requests (hub/discussion.h); these have a `base`. `text` of an event is a comment, a status, a
     * commit's subject, the new title; `other` the commit's id, the old title. discussion_edits: earlier texts of comments. */
    "CREATE TABLE discussions (repo INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE, num INTEGER NOT NULL,"
    " title TEXT NOT NULL, author INTEGER REFERENCES accounts ON DELETE SET NULL,"
    " status TEXT NOT NULL CHECK (status IN ('draft', 'open', 'closed', 'merged')), created INTEGER NOT NULL, base TEXT,"
    " merged_from BLOB, merge_commit BLOB, PRIMARY KEY (repo, num)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX discussions_by_author ON discussions (author);"
    "CREATE TABLE discussion_events (id INTEGER PRIMARY KEY AUTOINCREMENT, oid TEXT NOT NULL UNIQUE, repo INTEGER NOT NULL,"
    " num INTEGER NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('comment', 'status-change', 'commit', 'title-change')),"
    " author INTEGER REFERENCES accounts ON DELETE SET NULL, time INTEGER NOT NULL, text TEXT NOT NULL, other TEXT,"
    " hidden INTEGER NOT NULL DEFAULT 0, edited INTEGER, editor INTEGER REFERENCES accounts ON DELETE SET NULL,"
    " FOREIGN KEY (repo, num) REFERENCES discussions ON DELETE CASCADE) STRICT;"
    "CREATE INDEX discussion_events_by_discussion ON discussion_events (repo, num);"
    "CREATE INDEX discussion_events_by_author ON discussion_events (author);"
    "CREATE INDEX discussion_events_by_editor ON discussion_events (editor);"
    "CREATE TABLE discussion_edits (event INTEGER NOT NULL REFERENCES discussion_events ON DELETE CASCADE,"
    " i INTEGER NOT NULL, text TEXT NOT NULL, time INTEGER NOT NULL,"
    " author INTEGER REFERENCES accounts ON DELETE SET NULL, PRIMARY KEY (event, i)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX discussion_edits_by_author ON discussion_edits (author);",
    /* Large files that a repository's history names and that were not brought along from where it came (hub/intake.h). */
    ("CREATE TABLE absent_files (repo INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE, sha256 BLOB NOT NULL,"
    " size INTEGER NOT NULL, PRIMARY KEY (repo, sha256)) STRICT, WITHOUT ROWID;"),
    /* What lists find repositories by; see hub/id_set.h. Filled by hub/index_sets.h. What is asked of a namespace's rows is in their index. */
    "CREATE TABLE repo_sets (type INTEGER NOT NULL, name TEXT NOT NULL, block INTEGER NOT NULL, ids BLOB NOT NULL,"
    " PRIMARY KEY (type, name, block)) STRICT, WITHOUT ROWID;"
    "DROP TABLE repo_names;"
    "DROP INDEX repos_by_namespace;"
    "CREATE INDEX repos_by_namespace ON repos (namespace, type, id, private, disabled, gated, created, modified, downloads, likes);",
    /* Collections of repositories and of other collections (hub/collection.h). `maker` is an account's id, also of one that is gone. */
    "CREATE TABLE collections (id INTEGER PRIMARY KEY AUTOINCREMENT, oid TEXT NOT NULL UNIQUE,"
    " owner INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE, maker INTEGER, title TEXT NOT NULL, description TEXT NOT NULL,"
    " private INTEGER NOT NULL, theme TEXT NOT NULL, position INTEGER NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL,"
    " UNIQUE (owner, title)) STRICT;"
    "CREATE INDEX collections_by_position ON collections (owner, position);"
    "CREATE INDEX collections_by_modified ON collections (modified, id);"
    "CREATE TABLE collection_items (id INTEGER PRIMARY KEY, oid TEXT NOT NULL UNIQUE,"
    " collection INTEGER NOT NULL REFERENCES collections ON DELETE CASCADE, repo INTEGER REFERENCES repos ON DELETE CASCADE,"
    " other INTEGER REFERENCES collections ON DELETE CASCADE, note TEXT NOT NULL, position INTEGER NOT NULL,"
    " CHECK ((repo IS NULL) <> (other IS NULL))) STRICT;"
    "CREATE INDEX collection_items_by_position ON collection_items (collection, position);"
    "CREATE INDEX collection_items_by_repo ON collection_items (repo);"
    "CREATE INDEX collection_items_by_other ON collection_items (other);",
    /* Who made a repository, over the Hub API: an account's id, also of one that is gone. */
    "ALTER TABLE repos ADD COLUMN maker INTEGER;",
    /* The repository of a token's scope, whatever it is called; none while there is no such repository. */
    "ALTER TABLE keys ADD COLUMN repo INTEGER;"
    "CREATE INDEX keys_by_repo ON keys (repo) WHERE repo IS NOT NULL;"
    "CREATE INDEX keys_by_scope ON keys (scope COLLATE NOCASE) WHERE scope IS NOT NULL;"
    "WITH s AS (SELECT id, substr(scope, 1, instr(scope, '/') - 2) AS type, substr(scope, instr(scope, '/') + 1) AS rest FROM keys"
    " WHERE scope IS NOT NULL) UPDATE keys SET repo = (SELECT r.id FROM s JOIN accounts a ON a.name = substr(s.rest, 1, instr(s.rest, '/') - 1)"
    " JOIN repos r ON r.type = s.type AND r.namespace = a.id AND r.name = substr(s.rest, instr(s.rest, '/') + 1) WHERE s.id = keys.id)"
    " WHERE scope IS NOT NULL;",
    /* How many public repositories have a tag: what is asked is which tags there are, and walking repo_tags from tag to tag to see
     * takes tens of milliseconds where they are thousands. A tag that none has, has no row. */
    "CREATE TABLE tags (type INTEGER NOT NULL, tag TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (type, tag)) STRICT, WITHOUT ROWID;"
    "INSERT INTO tags SELECT type, tag, count(*) FROM repo_tags WHERE repo NOT IN (SELECT id FROM repos WHERE private OR disabled)"
    " GROUP BY type, tag;"
    "CREATE TRIGGER tag_comes AFTER INSERT ON repo_tags"
    " WHEN EXISTS (SELECT 1 FROM repos WHERE id = new.repo AND NOT private AND NOT disabled) BEGIN"
    " INSERT OR IGNORE INTO tags VALUES (new.type, new.tag, 0);"
    " UPDATE tags SET n = n + 1 WHERE type = new.type AND tag = new.tag; END;"
    "CREATE TRIGGER tag_goes AFTER DELETE ON repo_tags"
    " WHEN EXISTS (SELECT 1 FROM repos WHERE id = old.repo AND NOT private AND NOT disabled) BEGIN"
    " UPDATE tags SET n = n - 1 WHERE type = old.type AND tag = old.tag;"
    " DELETE FROM tags WHERE type = old.type AND tag = old.tag AND n <= 0; END;"
    "CREATE TRIGGER tags_are_shown AFTER UPDATE OF private, disabled ON repos"
    " WHEN (old.private OR old.disabled) AND NOT (new.private OR new.disabled) BEGIN"
    " INSERT OR IGNORE INTO tags SELECT type, tag, 0 FROM repo_tags WHERE repo = new.id;"
    " UPDATE tags SET n = n + 1 WHERE (type, tag) IN (SELECT type, tag FROM repo_tags WHERE repo = new.id); END;"
    "CREATE TRIGGER tags_are_hidden AFTER UPDATE OF private, disabled ON repos"
    " WHEN NOT (old.private OR old.disabled) AND (new.private OR new.disabled) BEGIN"
    " UPDATE tags SET n = n - 1 WHERE (type, tag) IN (SELECT type, tag FROM repo_tags WHERE repo = new.id);"
    " DELETE FROM tags WHERE n <= 0 AND (type, tag) IN (SELECT type, tag FROM repo_tags WHERE repo = new.id); END;",
    "ALTER TABLE repos ADD COLUMN no_discussions INTEGER NOT NULL DEFAULT 0;",
};
#define N_MIGRATIONS (int)(sizeof migrations / sizeof migrations[0])

static clo_code code_of(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_NOMEM: return CLO_ERR_MEMORY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return CLO_ERR_DAMAGED;
    case SQLITE_CONSTRAINT: return CLO_ERR_DENIED;
    case SQLITE_TOOBIG: return CLO_ERR_LIMIT;
    default: return CLO_ERR_IO;
    }
}

static bool fail(clo_err *err, sqlite3 *sql, int rc)
{
    int sys = sql ? sqlite3_system_errno(sql) : 0;
    clo_fail(err, code_of(rc), "database: %s", sql ? sqlite3_errmsg(sql) : sqlite3_errstr(rc));
    if (err && err->code == CLO_ERR_IO) err->sys = sys;
    return false;
}

static bool exec(clo_db *db, const char *text, clo_err *err)
{
    int rc = sqlite3_exec(db->sql, text, NULL, NULL, NULL);
    return rc == SQLITE_OK || fail(err, db->sql, rc);
}

/* --- opening ------------------------------------------------------------------------------------------------------*/

static bool read_int(int64_t *out, clo_db *db, const char *text, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, db, text, err) && clo_stmt_step(&q, &row, err);
    *out = ok && row ? clo_stmt_get_int(&q, 0) : 0;
    clo_stmt_close(&q);
    return ok;
}

static bool migrate(clo_db *db, clo_err *err)
{
    int64_t version = 0, again = 0;
    char text[96];
    if (!read_int(&version, db, "PRAGMA user_version", err)) return false;
    if (version > N_MIGRATIONS)
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "tables of version %lld, this program knows up to %d",
                        (long long)version, N_MIGRATIONS);
    if (version == N_MIGRATIONS) return true;
    if (!clo_db_begin(db, err)) return false;
    bool ok = read_int(&again, db, "PRAGMA user_version", err); /* another process may have been first */
    for (int64_t i = again; ok && i < N_MIGRATIONS; i++) ok = exec(db, migrations[i], err);
    snprintf(text, sizeof text, "PRAGMA application_id = %d; PRAGMA user_version = %d;", DB_APPLICATION_ID, N_MIGRATIONS);
    ok = ok && exec(db, text, err);
    if (ok) return clo_db_commit(db, err);
    clo_db_rollback(db);
    return false;
}

/* SQLite gives its log the permissions of the file; without this they would let anyone read. A file that is there is not
 * opened here: closing it would drop the locks that this process holds on it through SQLite (POSIX). */
static bool make_file(const char *path, const char *data_dir, clo_err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0660);
    if (fd < 0) return errno == EEXIST || clo_fail_sys(err, errno, "make '%s'", path);
    clo_file_give_to_owner(fd, data_dir); /* SQLite does as much for its log */
    close(fd);
    return true;
}

/* The change to WAL takes the whole file for a moment, and SQLite does not wait for others that do the same. */
static bool set_wal(clo_db *db, clo_err *err)
{
    int rc = SQLITE_BUSY;
    for (int ms = 0; (rc & 0xff) == SQLITE_BUSY && ms < DB_BUSY_MS; ms += 10) {
        if (ms > 0) sqlite3_sleep(10);
        rc = sqlite3_exec(db->sql, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
    }
    return rc == SQLITE_OK || fail(err, db->sql, rc);
}

static bool open_file(clo_db *db, const char *path, clo_err *err)
{
    int rc = sqlite3_open_v2(path, &db->sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc != SQLITE_OK) return fail(err, db->sql, rc);
    sqlite3_busy_timeout(db->sql, DB_BUSY_MS);
    return set_wal(db, err) &&
           exec(db, "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000; PRAGMA trusted_schema = OFF;"
                 " PRAGMA foreign_keys = ON;", err) &&
           migrate(db, err);
}

bool clo_db_open(clo_db **out, const char *data_dir, clo_err *err)
{
    char path[4096];
    *out = NULL;
    if (!clo_mkdir_p(data_dir, err) || !clo_path_join(path, err, "%s/cloche.db", data_dir)) return false;
    if (!make_file(path, data_dir, err)) return false;
    clo_db *db = calloc(1, sizeof *db);
    if (!db) return clo_fail(err, CLO_ERR_MEMORY, "database");
    if (open_file(db, path, err)) {
        *out = db;
        return true;
    }
    clo_err_context(err, "open '%s'", path);
    clo_db_close(db);
    return false;
}

void clo_db_close(clo_db *db)
{
    if (!db) return;
    clo_stmt_close(&db->version);
    while (db->n_kept > 0) sqlite3_finalize(db->kept[--db->n_kept]);
    sqlite3_close(db->sql);
    free(db);
}

bool clo_db_exists(const char *data_dir)
{
    char path[4096];
    return clo_path_join(path, NULL, "%s/cloche.db", data_dir) && clo_path_exists(path);
}

/* --- transactions -------------------------------------------------------------------------------------------------*/

bool clo_db_begin(clo_db *db, clo_err *err)
{
    return exec(db, "BEGIN IMMEDIATE", err);
}

bool clo_db_begin_read(clo_db *db, clo_err *err)
{
    return exec(db, "BEGIN", err);
}

bool clo_db_commit(clo_db *db, clo_err *err)
{
    if (exec(db, "COMMIT", err)) return true;
    clo_db_rollback(db);
    return false;
}

void clo_db_rollback(clo_db *db)
{
    if (!sqlite3_get_autocommit(db->sql)) sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
}

bool clo_db_writing(clo_db *db)
{
    return !sqlite3_get_autocommit(db->sql);
}

bool clo_db_version(int64_t *out, clo_db *db, clo_err *err)
{
    bool row = false;
    if (!db->version.stmt && !clo_stmt_open(&db->version, db, "PRAGMA data_version", err)) return false;
    bool ok = clo_stmt_step(&db->version, &row, err);
    if (ok && row) *out = clo_stmt_get_int(&db->version, 0);
    clo_stmt_reset(&db->version);
    return ok;
}

/* --- statements ---------------------------------------------------------------------------------------------------*/

/* The one with this text that waits; NULL: none does. */
static sqlite3_stmt *take_kept(clo_db *db, const char *sql)
{
    for (size_t i = db->n_kept; i-- > 0;) {
        sqlite3_stmt *s = db->kept[i];
        if (strcmp(sqlite3_sql(s), sql) != 0) continue;
        memmove(&db->kept[i], &db->kept[i + 1], (--db->n_kept - i) * sizeof s);
        return s;
    }
    return NULL;
}

/* The latest stand last; the one that waited longest makes room. */
static void keep(clo_db *db, sqlite3_stmt *s)
{
    if (db->n_kept == DB_KEPT_MAX) {
        sqlite3_finalize(db->kept[0]);
        memmove(&db->kept[0], &db->kept[1], --db->n_kept * sizeof s);
    }
    db->kept[db->n_kept++] = s;
}

bool clo_stmt_open(clo_stmt *q, clo_db *db, const char *sql, clo_err *err)
{
    *q = (clo_stmt){.db = db, .stmt = take_kept(db, sql)};
    if (q->stmt) return true;
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v3(db->sql, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL);
    if (rc != SQLITE_OK) return fail(err, db->sql, rc);
    q->stmt = s;
    return true;
}

void clo_stmt_close(clo_stmt *q)
{
    if (q->stmt) {
        clo_stmt_reset(q);
        keep(q->db, q->stmt);
    }
    *q = (clo_stmt){0};
}

void clo_stmt_reset(clo_stmt *q)
{
    sqlite3_reset(q->stmt);
    sqlite3_clear_bindings(q->stmt);
}

void clo_stmt_rewind(clo_stmt *q)
{
    sqlite3_reset(q->stmt);
}

static bool bound(clo_stmt *q, int rc, clo_err *err)
{
    return rc == SQLITE_OK || fail(err, q->db->sql, rc);
}

bool clo_stmt_int(clo_stmt *q, int i, int64_t v, clo_err *err)
{
    return bound(q, sqlite3_bind_int64(q->stmt, i, v), err);
}

bool clo_stmt_text(clo_stmt *q, int i, clo_str s, clo_err *err)
{
    return bound(q, sqlite3_bind_text64(q->stmt, i, s.ptr ? s.ptr : "", s.len, SQLITE_TRANSIENT, SQLITE_UTF8), err);
}

bool clo_stmt_blob(clo_stmt *q, int i, clo_bytes b, clo_err *err)
{
    return bound(q, sqlite3_bind_blob64(q->stmt, i, b.ptr ? b.ptr : (const uint8_t *)"", b.len, SQLITE_TRANSIENT), err);
}

bool clo_stmt_null(clo_stmt *q, int i, clo_err *err)
{
    return bound(q, sqlite3_bind_null(q->stmt, i), err);
}

bool clo_stmt_step(clo_stmt *q, bool *row, clo_err *err)
{
    int rc = sqlite3_step(q->stmt);
    *row = rc == SQLITE_ROW;
    return rc == SQLITE_ROW || rc == SQLITE_DONE || fail(err, q->db->sql, rc);
}

int64_t clo_stmt_get_int(clo_stmt *q, int i)
{
    return sqlite3_column_int64(q->stmt, i);
}

clo_str clo_stmt_get_str(clo_stmt *q, int i)
{
    const char *p = (const char *)sqlite3_column_text(q->stmt, i);
    return p ? (clo_str){p, (size_t)sqlite3_column_bytes(q->stmt, i)} : CLO_STR("");
}

clo_bytes clo_stmt_get_blob(clo_stmt *q, int i)
{
    const uint8_t *p = sqlite3_column_blob(q->stmt, i);
    return (clo_bytes){p, p ? (size_t)sqlite3_column_bytes(q->stmt, i) : 0};
}

bool clo_stmt_is_null(clo_stmt *q, int i)
{
    return sqlite3_column_type(q->stmt, i) == SQLITE_NULL;
}
