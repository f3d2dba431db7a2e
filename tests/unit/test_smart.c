/* Fetch and push with the real git: clones of every kind are whole, pushes are taken whole or told why not. */
#include "hub_http.h"

typedef struct {
    hub_box *b;
    hub_http http;
} smart;

static int smart_set_up(void **state)
{
    smart *s = calloc(1, sizeof *s);
    void *b = NULL;
    if (hub_set_up(&b) != 0) return -1;
    s->b = b;
    hub_http_start(&s->http, s->b);
    hub_sh(
        s->b,
        "git config --global user.name anna && git config --global user.email anna@x.test && git config --global init.defaultBranch main &&"
        " git config --global advice.detachedHead false && git config --global fetch.fsckObjects true");
    *state = s;
    return 0;
}

static int smart_tear_down(void **state)
{
    smart *s = *state;
    void *b = s->b;
    hub_http_stop(&s->http);
    int rc = hub_tear_down(&b);
    free(s);
    return rc;
}

#define URL "http://127.0.0.1:%d/alice/m"

/* A history with merges, renames, tags and several branches, pushed. */
static void push_history(smart *s)
{
    hub_sh(
        s->b,
        "git clone -q " URL " src && cd src && seq 1 2000 > long.txt && git add . && git commit -q -m long &&"
        " for i in 1 2 3 4 5 6; do mkdir -p d$((i %% 3)) && echo $i > d$((i %% 3))/f$i && sed -i \"${i}s/.*/line $i/\" long.txt && git add . &&"
        " git commit -q -m c$i; done && git checkout -q -b side HEAD~3 && echo side > side && git add . && git commit -q -m side &&"
        " git checkout -q main && git merge -q -m merge side && git tag light HEAD~1 && git tag -a -m 'a tag' heavy HEAD~2 &&"
        " git mv d1 moved && git commit -q -m moved && git push -q origin main side light heavy 2>&1",
        s->http.port);
}

static void a_clone_has_what_was_pushed(void **state)
{
    smart *s = *state;
    push_history(s);
    static const int versions[] = {0, 1, 2};
    for (int i = 0; i < 3; i++) {
        hub_sh(s->b,
               "rm -rf c && git -c protocol.version=%d clone -q " URL
               " c && cd c && git fsck --strict --full 2>&1 && git status --short",
               versions[i], s->http.port);
        assert_string_equal(
            hub_sh(s->b,
                   "for r in src c; do git -C $r rev-parse main heavy 'heavy^{}' light | sha1sum; done | uniq | wc -l"),
            "1");
        assert_string_equal(hub_sh(s->b, "git -C c branch -r | tr -d ' ' | tr '\\n' ' '"),
                            "origin/HEAD->origin/main origin/main origin/side ");
        assert_string_equal(hub_sh(s->b, "git -C c rev-list --objects --all | wc -l"),
                            hub_sh(s->b, "git -C src rev-list --objects --all | wc -l"));
    }
    hub_export(s->b, "m.git");
    assert_string_equal(hub_sh(s->b, "git -C m.git rev-parse main"), hub_sh(s->b, "git -C src rev-parse main"));
}

static void refs_are_listed_as_git_lists_them(void **state)
{
    smart *s = *state;
    push_history(s);
    hub_export(s->b, "m.git");
    for (int v = 0; v <= 2; v += 2)
        assert_string_equal(hub_sh(s->b,
                                   "{ git -c protocol.version=%d ls-remote " URL
                                   "; git ls-remote m.git; } | sort | uniq -c | awk '$1 != 2'",
                                   v, s->http.port),
                            "");
    assert_string_equal(hub_sh(s->b, "git ls-remote --symref " URL " HEAD | head -1", s->http.port),
                        "ref: refs/heads/main\tHEAD");
}

static void shallow_clones_end_where_git_s_end(void **state)
{
    smart *s = *state;
    push_history(s);
    hub_export(s->b, "m.git");
    hub_sh(s->b, "git -C m.git config uploadpack.allowFilter true");
    for (int v = 0; v <= 2; v += 2) {
        for (int depth = 1; depth <= 6; depth++) {
            hub_sh(s->b,
                   "rm -rf ours theirs && git -c protocol.version=%d clone -q --depth %d --no-single-branch " URL
                   " ours && git -C ours fsck --full --strict 2>&1 &&"
                   " git clone -q --depth %d --no-single-branch file://$PWD/m.git theirs",
                   v, depth, s->http.port, depth);
            assert_string_equal(
                hub_sh(s->b, "for r in ours theirs; do git -C $r rev-list --all | sort | sha1sum; done | uniq | wc -l"),
                "1");
        }
        /* Deeper, as deep as it goes, and up to date afterwards. */
        hub_sh(s->b,
               "rm -rf ours && git -c protocol.version=%d clone -q --depth 2 " URL
               " ours && cd ours && git -c protocol.version=%d fetch -q --depth 4 &&"
               " git fsck --full 2>&1 && git -c protocol.version=%d fetch -q --deepen 1 && git fsck --full 2>&1 &&"
               " git -c protocol.version=%d fetch -q --unshallow && git fsck --full 2>&1",
               v, s->http.port, v, v, v);
        assert_string_equal(hub_sh(s->b, "git -C ours rev-list --count main"),
                            hub_sh(s->b, "git -C src rev-list --count main"));
        assert_string_equal(hub_sh(s->b, "git -C ours rev-parse --is-shallow-repository"), "false");
        hub_sh(s->b,
               "rm -rf ours && git -c protocol.version=%d clone -q --shallow-exclude=light " URL
               " ours && git -C ours fsck --full 2>&1",
               v, s->http.port);
        assert_string_equal(hub_sh(s->b, "git -C ours rev-list --count main"),
                            hub_sh(s->b, "git -C src rev-list --count light..main"));
    }
}

static void clones_since_a_time_begin_where_git_s_begin(void **state)
{
    smart *s = *state;
    hub_sh(s->b, "git clone -q " URL " src && cd src && for i in 1 2 3 4 5 6; do echo $i > f && git add . &&"
                 " GIT_AUTHOR_DATE=\"170000${i}000 +0000\" GIT_COMMITTER_DATE=\"170000${i}000 +0000\" git commit -q -m c$i; done && git push -q 2>&1",
           s->http.port);
    hub_export(s->b, "m.git");
    for (int v = 0; v <= 2; v++) {
        for (int since = 1; since <= 6; since += 2) {
            hub_sh(s->b, "rm -rf ours theirs && git -c protocol.version=%d clone -q --shallow-since='170000%d500 +0000' " URL " ours 2>&1 || true;"
                         " git clone -q --shallow-since='170000%d500 +0000' file://$PWD/m.git theirs 2>&1 || true", v, since, s->http.port, since);
            if (since == 5) {
                assert_string_equal(hub_sh(s->b, "git -C ours rev-list main | wc -l"), "1");
                hub_sh(s->b, "cd ours && git -c protocol.version=%d fetch -q --shallow-since='1700003500 +0000' && git fsck --full 2>&1", v);
                assert_string_equal(hub_sh(s->b, "git -C ours rev-list main | wc -l"), "3");
            } else {
                assert_string_equal(hub_sh(s->b, "for r in ours theirs; do git -C $r rev-list main | sha1sum; done | uniq | wc -l"), "1");
            }
        }
    }
}

static void a_shallow_clone_follows_without_growing_down(void **state)
{
    smart *s = *state;
    push_history(s);
    hub_sh(s->b,
           "git clone -q --depth 1 " URL
           " c && cd src && echo more > more && git add . && git commit -q -m more && git push -q 2>&1 && cd ../c &&"
           " git pull -q && git fsck --full 2>&1",
           s->http.port);
    assert_string_equal(hub_sh(s->b, "git -C c rev-list --count main"), "2");
    assert_string_equal(hub_sh(s->b, "cat c/more"), "more");
    /* And pushes from there. */
    hub_sh(s->b, "cd c && echo x > x && git add . && git commit -q -m x && git push -q 2>&1");
    assert_string_equal(hub_sh(s->b, "cd src && git pull -q && cat x"), "x");
}

static void partial_clones_fetch_files_when_they_need_them(void **state)
{
    smart *s = *state;
    push_history(s);
    hub_sh(s->b, "git clone -q --filter=blob:none --no-checkout " URL " none", s->http.port);
    assert_string_equal(hub_sh(s->b, "git -C none cat-file --batch-all-objects --batch-check | grep -c blob || true"),
                        "0");
    hub_sh(s->b, "cd none && git checkout -q main && git fsck --full 2>&1 && diff -r --exclude=.git . ../src");
    hub_sh(s->b, "git clone -q --filter=blob:limit=1k --no-checkout " URL " small", s->http.port);
    assert_string_equal(
        hub_sh(s->b,
               "git -C small cat-file --batch-all-objects --batch-check | awk '$2 == \"blob\" && $3 >= 1024' | wc -l"),
        "0");
    assert_string_not_equal(
        hub_sh(s->b, "git -C small cat-file --batch-all-objects --batch-check | grep -c blob || true"), "0");
    hub_sh(s->b, "cd small && git checkout -q main && git fsck --full 2>&1");
    assert_non_null(
        strstr(hub_sh(s->b, "git clone -q --filter=tree:0 " URL " no 2>&1 || true", s->http.port), "filter"));
}

static void a_fetch_brings_what_is_new_and_little_more(void **state)
{
    smart *s = *state;
    push_history(s);
    for (int v = 0; v <= 2; v += 2) {
        hub_sh(s->b,
               "rm -rf c && git clone -q " URL
               " c && cd src && git pull -q && echo v%d >> d2/f2 && git commit -q -a -m new && git push -q 2>&1",
               s->http.port, v);
        hub_sh(
            s->b,
            "cd c && echo mine > mine && git add . && git commit -q -m mine && git -c protocol.version=%d fetch -q && git fsck --full 2>&1",
            v);
        assert_string_equal(hub_sh(s->b, "cd c && git rev-parse origin/main"),
                            hub_sh(s->b, "git -C src rev-parse main"));
        /* A commit, two folders, a file. */
        hub_sh(
            s->b,
            "cd src && echo v >> d2/f2 && git commit -q -a -m again && git push -q 2>&1 && cd ../c && ls .git/objects/pack > ../before &&"
            " git -c fetch.unpackLimit=1 -c protocol.version=%d fetch -q",
            v);
        assert_string_equal(
            hub_sh(
                s->b,
                "cd c && ls .git/objects/pack/ | grep -v -x -F -f ../before | grep idx | sed s,^,.git/objects/pack/, | xargs git verify-pack -v | grep -c ' commit\\| tree\\| blob'"),
            "4");
    }
}

static void branches_are_forced_deleted_and_made_by_push(void **state)
{
    smart *s = *state;
    push_history(s);
    hub_sh(
        s->b,
        "cd src && git push -q origin main:refs/heads/new/branch 2>&1 && git push -q origin :side 2>&1 && git push -q origin --delete light 2>&1 &&"
        " git commit -q --amend -m amended && git push -q --force origin main 2>&1");
    assert_string_equal(hub_sh(s->b, "git ls-remote " URL " | cut -f2 | tr '\\n' ' '", s->http.port),
                        "HEAD refs/heads/main refs/heads/new/branch refs/tags/heavy refs/tags/heavy^{} ");
    assert_string_equal(hub_sh(s->b, "git ls-remote " URL " main | cut -f1", s->http.port),
                        hub_sh(s->b, "git -C src rev-parse main"));
}

/* The refusal that a push meets. */
static const char *refusal(smart *s, const char *push)
{
    return hub_sh(s->b, "cd src && ! git push %s 2>&1", push);
}

#define says(text, part)                                                                                               \
    do {                                                                                                               \
        const char *t_ = (text);                                                                                       \
        if (!strstr(t_, part)) fail_msg("'%s' does not say '%s'", t_, part);                                           \
    } while (0)

static void refs_that_are_not_the_pusher_s_stay(void **state)
{
    smart *s = *state;
    hub_box *b = s->b;
    push_history(s);
    must(clo_db_begin(b->db, &b->err) && clo_pull_create(b->g, 1, &b->err) && clo_pull_create(b->g, 2, &b->err) &&
         clo_db_commit(b->db, &b->err));
    says(refusal(s, "origin :main"), "Cannot delete refs/heads/main");
    says(refusal(s, "origin main:refs/convert/parquet"), "branches, tags and pull requests");
    says(refusal(s, "origin main:refs/pr/7"), "pull requests are opened");
    says(refusal(s, "origin :refs/pr/1"), "pull requests are opened");
    says(refusal(s, "--force origin side:refs/pr/2"), "not your pull request");
    says(refusal(s, "origin main:refs/heads/side/x"), "would stand in the way");
    says(refusal(s, "--atomic origin main:refs/heads/good main:refs/pr/9"), "atomic");
    hub_sh(b, "cd src && git push -q --force origin side:refs/pr/1 2>&1");
    assert_string_equal(hub_sh(b, "git ls-remote " URL " refs/pr/1 | cut -f1", s->http.port),
                        hub_sh(b, "git -C src rev-parse side"));
    /* What is no commit in the end can be no tag: lists of tags are lists of commits. */
    hub_sh(b, "cd src && git tag -a -m x blob $(git rev-parse HEAD:long.txt) && git tag -a -m x tree 'HEAD^{tree}' && git tag -a -m x twice heavy &&"
              " git push -q origin twice 2>&1");
    says(refusal(s, "origin blob"), "no commit");
    says(refusal(s, "origin tree"), "no commit");
    says(refusal(s, "origin $(git rev-parse HEAD:long.txt):refs/tags/plain"), "no commit");
    says(refusal(s, "origin main~2:main"), "non-fast-forward");
    /* One that is good beside one that is not. */
    hub_sh(b, "cd src && ! git push origin main:refs/heads/good main:refs/pr/9 2>&1");
    says(hub_sh(b, "git ls-remote " URL " | cut -f2", s->http.port), "refs/heads/good");
    hub_sh(b, "cd src && git rev-parse side > ../side && git push -q origin side~1:refs/heads/race 2>&1");
    /* The ref moves between the pusher's look and its push. */
    must(clo_db_begin(b->db, &b->err) && clo_branch_create(b->g, CLO_STR("moved"), CLO_STR("main"), &b->err) &&
         clo_db_commit(b->db, &b->err));
    says(hub_sh(b, "cd src && ! git push --force-with-lease=moved:$(git rev-parse side) origin side:moved 2>&1"),
         "stale info");
}

static void files_that_belong_to_lfs_are_refused(void **state)
{
    smart *s = *state;
    push_history(s);
    hub_sh(s->b, "cd src && head -c 10485761 /dev/zero > big && git add . && git commit -q -m big");
    says(refusal(s, "origin main"), "git-lfs");
    hub_sh(
        s->b,
        "cd src && git reset -q --hard HEAD~1 && head -c 10485760 /dev/zero > big && git add . && git commit -q -m fits && git push -q 2>&1");
    /* A pointer to a file that the pusher may link, and one that he may not; a size that is not the file's. */
#define POINTER(hex, size) "printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:" hex "\\nsize " size "\\n'"
    hub_sh(s->b, "cd src && " POINTER("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                                      "5") " > p && git add . && git commit -q -m p && git push -q 2>&1");
    hub_sh(s->b, "cd src && " POINTER("ff7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                                      "5") " > q && git add . && git commit -q -m q");
    says(refusal(s, "origin main"), "lfs object missing: ff7816bf");
}

/* Trees that no checkout should ever meet, made by hand. */
static void trees_that_could_do_harm_are_refused(void **state)
{
    smart *s = *state;
    static const char *const rows[][2] = {
        {"100644 blob %b\\t.git\\0", "git's own name"},
        {"100644 blob %b\\t.GIT\\0", "git's own name"},
        {"100644 blob %b\\tgit~1\\0", "git's own name"},
        {"040000 tree %t\\t..\\0", "no parts"},
        {"100644 blob %b\\ta\\\\b\\0", "backslash"},
        {"100644 blob %b\\ta\\x01b\\0", "control character"},
        {"100644 blob %b\\t\\xff\\0", "UTF-8"},
        {"100644 blob 1111111111111111111111111111111111111111\\tx\\0", "not there"},
        {"100644 blob %t\\tx\\0", "another kind"},
        {"160000 commit 1111111111111111111111111111111111111111\\tm\\0", "submodule 'm'"},
    };
    push_history(s);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char script[4096];
        snprintf(
            script, sizeof script,
            "cd src && python3 - <<'E'\nimport hashlib,os,subprocess,zlib\n"
            "def put(kind, data):\n    raw = kind.encode() + b' %%d\\0' %% len(data) + data\n    name = hashlib.sha1(raw).hexdigest()\n"
            "    path = '.git/objects/' + name[:2]\n    os.makedirs(path, exist_ok=True)\n    p = path + '/' + name[2:]\n"
            "    if not os.path.exists(p): open(p, 'wb').write(zlib.compress(raw))\n    return name\n"
            "blob, tree = put('blob', b'x'), put('tree', b'')\n"
            "row = '%s'.replace('%%b', blob).replace('%%t', tree).encode('latin-1')\n"
            "head, name = row.split(b'\\t')\nmode, kind, oid = head.split()\n"
            "bad = put('tree', mode.lstrip(b'0') + b' ' + name + bytes.fromhex(oid.decode()))\n"
            "who = 'a <a@x> 1700000000 +0000'\n"
            "c = put('commit', ('tree %%s\\nauthor %%s\\ncommitter %%s\\n\\nx\\n' %% (bad, who, who)).encode())\n"
            "allc = [c, bad, blob, tree]\n"
            "open('../bad-commit', 'w').write(c)\n"
            "import struct\n"
            "objs = [(1, 'commit', c), (2, 'tree', bad), (3, 'blob', blob), (2, 'tree', tree)]\n"
            "pack = b'PACK' + struct.pack('>II', 2, len(objs))\n"
            "for k, name, oid in objs:\n"
            "    raw = zlib.decompress(open('.git/objects/%%s/%%s' %% (oid[:2], oid[2:]), 'rb').read()).split(b'\\0', 1)[1]\n"
            "    n, first = len(raw), True\n    b = k << 4 | (n & 15)\n    n >>= 4\n    head = []\n"
            "    while n:\n        head.append(b | 128)\n        b = n & 127\n        n >>= 7\n"
            "    head.append(b)\n    pack += bytes(head) + zlib.compress(raw)\n"
            "pack += hashlib.sha1(pack).digest()\n"
            "line = ('0' * 40 + ' ' + c + ' refs/heads/bad%zu\\0report-status').encode()\n"
            "body = b'%%04x' %% (len(line) + 4) + line + b'0000' + pack\n"
            "import urllib.request\n"
            "print(urllib.request.urlopen(urllib.request.Request('http://127.0.0.1:%d/alice/m/git-receive-pack', body)).read().decode('latin-1'))\nE",
            rows[i][0], i, s->http.port);
        says(hub_sh(s->b, "%s", script), rows[i][1]);
    }
    assert_null(strstr(hub_sh(s->b, "git ls-remote " URL, s->http.port), "refs/heads/bad"));
}

static void a_push_of_many_files_and_deltas_arrives_whole(void **state)
{
    smart *s = *state;
    hub_sh(
        s->b,
        "git clone -q " URL
        " src && cd src && mkdir d && for i in $(seq 1 60); do seq $i 3000 > d/f$i; done && seq 1 200000 > wide && git add . &&"
        " git commit -q -m many && for i in 1 2 3 4 5 6 7 8; do sed -i \"${i}00s/.*/x/\" wide && git commit -q -a -m $i; done &&"
        " git -c pack.threads=1 -c pack.depth=50 push -q 2>&1 && git -C ../src gc -q && rm -rf ../c && git clone -q " URL
        " ../c && cd ../c && git fsck --full --strict 2>&1",
        s->http.port, s->http.port);
    hub_export(s->b, "m.git");
    assert_string_equal(hub_sh(s->b, "git -C m.git rev-parse main"), hub_sh(s->b, "git -C src rev-parse main"));
    /* Thin packs: deltas against what only the server has. */
    hub_sh(
        s->b,
        "cd src && for i in 1 2 3; do sed -i \"${i}0s/.*/y/\" wide && git commit -q -a -m y$i && git push -q --thin 2>&1; done && cd ../c && git pull -q && git fsck --full 2>&1");
    assert_string_equal(hub_sh(s->b, "git -C c rev-parse main"), hub_sh(s->b, "git -C src rev-parse main"));
}

/* The answer to one command without a pack. */
static const char *push_command(hub_box *b, const clo_oid *old, const clo_oid *now, const char *ref)
{
    static clo_buf out;
    char line[512], body[600];
    clo_push *p = NULL;
    clo_push_opts o = {.tmp_dir = b->dir};
    int n = snprintf(line, sizeof line, "%s %s %s%c report-status", hub_hex(old), hub_hex(now), ref, 0);
    int head = snprintf(body, sizeof body, "%04x", (unsigned)n + 4);
    memcpy(body + head, line, (size_t)n);
    memcpy(body + head + n, "0000", 5);
    out.len = 0;
    must(clo_push_open(&p, b->g, &o, &b->err));
    for (int i = 0; i < head + n + 4; i++) must(clo_push_add(p, (clo_bytes){(uint8_t *)body + i, 1}, &b->err));
    must(clo_push_end(p, hub_add_out, &out, &b->err));
    clo_push_close(p);
    hub_open_git(b);
    for (size_t i = 0; i < out.len; i++)
        if (out.ptr[i] == '\n') out.ptr[i] = ' ';
    return out.ptr;
}

static void a_ref_that_moved_meanwhile_is_not_overwritten(void **state)
{
    smart *s = *state;
    hub_box *b = s->b;
    clo_oid zero = {{0}}, main = hub_main(b), other, got;
    clo_op op = hub_file("x", "1");
    bool found;
    assert_int_equal(hub_commit(b, &other, &op, 1), CLO_COMMIT_OK);
    must(clo_db_begin(b->db, &b->err) && clo_branch_create(b->g, CLO_STR("x"), CLO_STR("main"), &b->err) && clo_db_commit(b->db, &b->err));
    says(push_command(b, &main, &zero, "refs/heads/x"), "ng refs/heads/x fetch first");
    says(push_command(b, &zero, &zero, "refs/heads/none"), "ng refs/heads/none no such ref");
    says(push_command(b, &zero, &main, "refs/heads/y"), "unpack no pack came");
    must(clo_ref_get(&got, &found, b->g, CLO_STR("refs/heads/x"), &b->err));
    assert_true(found && clo_oid_eq(&got, &other));
    says(push_command(b, &other, &zero, "refs/heads/x"), "ok refs/heads/x");
    must(clo_ref_get(&got, &found, b->g, CLO_STR("refs/heads/x"), &b->err));
    assert_false(found);
}

static void bodies_that_are_no_requests_are_refused(void **state)
{
    smart *s = *state;
    hub_box *b = s->b;
    static const char *const fetches[] = {
        "",
        "0000",
        "zzzz",
        "0004",
        "0003",
        "fff1",
        "0009wan",
        "0011command=fetch",
        "0014command=unknown\n0000",
        "0011command=fetch00010032want 0123456789012345678901234567890123456789\n0009done\n0000",
        "0011command=fetch0001000cnonsense0000",
        "0011command=fetch000100000014command=ls-refs\n0000"};
    for (size_t i = 0; i < sizeof fetches / sizeof fetches[0]; i++) {
        clo_buf out = {0};
        for (int v = 0; v <= 2; v++) {
            out.len = 0;
            must(clo_fetch_answer(b->g, v, clo_bytes_of(clo_str_from(fetches[i])), hub_add_out, &out, &b->err));
            if (out.len && (out.len < 9 || memcmp(out.ptr + 4, "ERR ", 4) != 0))
                fail_msg("%d '%s': '%s'", v, fetches[i], out.ptr);
        }
        clo_buf_free(&out);
    }
    static const char *const pushes[] = {
        "zzzz", "0003", "0001", "0009nope0000", "0032nothing that is a command of a push at all yes\n0000", "00ff"};
    for (size_t i = 0; i < sizeof pushes / sizeof pushes[0]; i++) {
        clo_push *p = NULL;
        clo_buf out = {0};
        clo_push_opts o = {.tmp_dir = b->dir};
        must(clo_push_open(&p, b->g, &o, &b->err));
        bool ok = clo_push_add(p, clo_bytes_of(clo_str_from(pushes[i])), &b->err) &&
                  clo_push_end(p, hub_add_out, &out, &b->err);
        if (ok) fail_msg("'%s' was taken", pushes[i]);
        assert_int_equal(b->err.code, CLO_ERR_FORMAT);
        clo_push_close(p);
        clo_buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, smart_set_up, smart_tear_down)
        T(a_clone_has_what_was_pushed),
        T(refs_are_listed_as_git_lists_them),
        T(shallow_clones_end_where_git_s_end),
        T(clones_since_a_time_begin_where_git_s_begin),
        T(a_shallow_clone_follows_without_growing_down),
        T(partial_clones_fetch_files_when_they_need_them),
        T(a_fetch_brings_what_is_new_and_little_more),
        T(branches_are_forced_deleted_and_made_by_push),
        T(refs_that_are_not_the_pusher_s_stay),
        T(files_that_belong_to_lfs_are_refused),
        T(trees_that_could_do_harm_are_refused),
        T(a_push_of_many_files_and_deltas_arrives_whole),
        T(a_ref_that_moved_meanwhile_is_not_overwritten),
        T(bodies_that_are_no_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
