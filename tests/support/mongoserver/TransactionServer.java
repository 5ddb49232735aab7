import de.bwaldvogel.mongo.MongoBackend;
import de.bwaldvogel.mongo.MongoDatabase;
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.QueryResult;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import de.bwaldvogel.mongo.bson.BsonTimestamp;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.bson.BsonEncoder;
import de.bwaldvogel.mongo.wire.message.MongoMessage;
import de.bwaldvogel.mongo.wire.message.MongoQuery;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.embedded.EmbeddedChannel;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * mongo-java-server with what it lacks and the engine rests on: transactions of several documents
 * and reads of one moment.
 *
 * <p>Every collection lives in a backend of its own and is copied before a write that somebody else
 * must not see; what a transaction or a snapshot sees is a map of collections as they were. What a
 * copy took the place of is kept: once nobody sees it any more, the writes that it lacks are done to
 * it, and it is the next copy. So a transaction costs what it writes, not what there is.
 *
 * <p>One transaction may write at a time: the next one meets WriteConflict, as on a real server it
 * does where both write one document. A transaction whose collections were written by others since
 * it began meets it too. Cursors hold what they found when they were opened.
 *
 * <p>Commands of the tests' own, on any database: {@code testFail: {command, code, labels, times}}
 * makes coming commands fail before they run, or after where {@code after} is true; an empty one
 * ends that. {@code replSetStepDown} leaves the set without a primary for so many seconds: open
 * transactions end, and nothing is answered.
 */
public final class TransactionServer implements MongoBackend {
  private static final Set<String> WRITES =
      Set.of("insert", "update", "delete", "findandmodify", "createindexes", "dropindexes",
          "drop", "create");
  private static final Set<String> READS =
      Set.of("find", "aggregate", "count", "distinct", "listindexes");
  private static final Channel NOBODY = new EmbeddedChannel();
  private static final int ALL = 1_000_000;
  private static final int WRITE_CONFLICT = 112;
  private static final int NO_SUCH_TRANSACTION = 251;
  private static final int NOT_PRIMARY = 10107;
  private static final int KEPT_SNAPSHOTS = 64;
  private static final int KEPT_CURSORS = 256;
  private static final int CURSOR_NOT_FOUND = 43;
  /** Of a query that says nothing of batches, and what a batch may weigh, as on a real server. */
  private static final int FIRST_BATCH = 101;
  private static final long MOST_BYTES = 16 * 1024 * 1024;
  /** More writes than this are not repeated: the copy is made anew. */
  private static final int MOST_BEHIND = 500;
  private static final long ABANDONED_MS = 60_000;

  /** One collection at one time. {@code shared}: somebody still sees it, so writers copy first. */
  private static final class Coll {
    final MemoryBackend backend = newBackend();
    final List<Document> indexes = new ArrayList<>();
    boolean shared;
    /** As it was before, and the writes since. */
    Coll spare;
    List<Document> behind;

    /** This takes the place of `last`, which it was made from. */
    Coll after(Coll last) {
      spare = last;
      behind = new ArrayList<>();
      last.spare = null;
      last.behind = null;
      return this;
    }

    /** Before it is done, for the backend keeps what it is given and changes it. */
    void note(String command, Document query) {
      if (spare == null) {
        return;
      }
      // What takes the time of the server would be another one later.
      if (tellsTheTime(query) || behind.size() >= MOST_BEHIND) {
        spare = null;
        behind = null;
      } else {
        behind.add(query.cloneDeeply());
      }
    }

    private static boolean tellsTheTime(Document query) {
      Object updates = query.get("updates");
      return updates instanceof List && ((List<?>) updates).stream()
          .map(one -> ((Document) one).get("u"))
          .anyMatch(u -> u instanceof Document && ((Document) u).containsKey("$currentDate"));
    }

    Coll caughtUp(String database) {
      Coll found = spare;
      for (Document query : behind) {
        try {
          apply(null, database, query.keySet().iterator().next(), query, found);
        } catch (RuntimeException error) {
          // As it failed the first time.
        }
      }
      found.shared = false;
      return found;
    }

    Coll copy(String database, String name) {
      Coll copy = new Coll();
      for (Document command : indexes) {
        copy.run(null, database, "createIndexes", command.cloneDeeply());
        copy.indexes.add(command);
      }
      Document all = run(null, database, "find", new Document("find", name)
          .append("filter", new Document()).append("batchSize", ALL));
      List<Document> documents = new ArrayList<>();
      for (Object one : (List<?>) ((Document) all.get("cursor")).get("firstBatch")) {
        documents.add(((Document) one).cloneDeeply());
      }
      if (!documents.isEmpty()) {
        copy.run(null, database, "insert",
            new Document("insert", name).append("documents", documents));
      }
      return copy;
    }

    Document run(Channel channel, String database, String command, Document query) {
      return backend.handleCommand(channel == null ? NOBODY : channel, database, command, query);
    }
  }

  private static final class Transaction {
    final Map<String, Coll> view;
    final Map<String, Coll> own = new HashMap<>();
    long touched = System.currentTimeMillis();

    Transaction(Map<String, Coll> view) {
      this.view = view;
    }
  }

  private static MemoryBackend newBackend() {
    MemoryBackend backend = new MemoryBackend();
    backend.version(de.bwaldvogel.mongo.ServerVersion.MONGO_5_0);
    return backend;
  }

  private final MemoryBackend plain = newBackend();
  private final Map<String, Coll> root = new HashMap<>();
  private final Map<String, Transaction> transactions = new HashMap<>();
  private final Map<String, String> finished = new LinkedHashMap<>();
  private final LinkedHashMap<Long, Map<String, Coll>> snapshots = new LinkedHashMap<>();
  private final LinkedHashMap<Long, List<Document>> cursors = new LinkedHashMap<>();
  private long lastCursor;
  private final List<Document> failures = new ArrayList<>();
  private Transaction writer;
  private long time = 1;
  private long downUntil;
  private String address;

  public static void main(String[] arguments) throws Exception {
    TransactionServer backend = new TransactionServer();
    MongoServer server = new MongoServer(backend);
    server.bind("127.0.0.1", arguments.length > 0 ? Integer.parseInt(arguments[0]) : 0);
    backend.address = "127.0.0.1:" + server.getLocalAddress().getPort();
    System.out.println(backend.address);
    System.out.flush();
    while (System.in.read() >= 0) {
      // Until whoever started this is gone.
    }
    server.shutdownNow();
    System.exit(0);
  }

  @Override
  public synchronized Document handleMessage(MongoMessage message) {
    Document query = message.getDocument();
    String command = query.keySet().iterator().next();
    return handle(message.getChannel(), message.getDatabaseName(), command, query);
  }

  @Override
  public synchronized Document handleCommand(
      Channel channel, String database, String command, Document query) {
    return handle(channel, database, command, query);
  }

  private Document handle(Channel channel, String database, String command, Document query) {
    if (command.equals("testFail")) {
      Document failure = (Document) query.get(command);
      if (failure.isEmpty()) {
        failures.clear();
      } else {
        failures.add(failure.append("database", database));
      }
      return ok();
    }
    Document failure = failureOf(database, command);
    if (failure != null && !Boolean.TRUE.equals(failure.get("after"))) {
      if (String.valueOf(failure.get("labels")).contains("Transient")) {
        abort(keyOf(query));
      }
      return refusal(failure);
    }
    Document answer = run(channel, database, command, query);
    return failure == null ? answer : refusal(failure);
  }

  private Document failureOf(String database, String command) {
    for (Document one : failures) {
      boolean here = database.equals(one.get("database")) || database.equals("admin");
      if (here && command.equalsIgnoreCase(String.valueOf(one.get("command")))) {
        int times = ((Number) one.getOrDefault("times", 1)).intValue();
        if (times <= 1) {
          failures.remove(one);
        }
        one.put("times", times - 1);
        return one;
      }
    }
    return null;
  }

  private static Document refusal(Document failure) {
    Object labels = failure.get("labels");
    return error(((Number) failure.get("code")).intValue(), "made to fail",
        labels == null ? List.of() : (List<?>) labels);
  }

  private Document run(Channel channel, String database, String command, Document query) {
    String name = command.toLowerCase(java.util.Locale.ROOT);
    boolean down = System.currentTimeMillis() < downUntil;
    if (down && (WRITES.contains(name) || READS.contains(name) || name.endsWith("transaction"))) {
      boolean inside = query.containsKey("txnNumber") && query.containsKey("autocommit");
      return error(NOT_PRIMARY, "not primary", List.of(!inside ? "RetryableWriteError"
          : name.startsWith("commit") ? "UnknownTransactionCommitResult"
          : "TransientTransactionError"));
    }
    switch (name) {
      case "replsetstepdown":
        downUntil = System.currentTimeMillis() + 1000L * ((Number) query.get(command)).longValue();
        new ArrayList<>(transactions.keySet()).forEach(this::abort);
        return ok();
      case "hello":
      case "ismaster":
        return greeting(channel, database, command, query);
      case "committransaction":
        return end(query, true);
      case "aborttransaction":
        return end(query, false);
      case "killsessions":
        for (Object one : (List<?>) query.get(command)) {
          abortAllOf(String.valueOf(one));
        }
        return ok();
      case "getmore":
        return more(database, query);
      case "killcursors":
        ((List<?>) query.get("cursors")).forEach(cursors::remove);
        return ok().append("cursorsKilled", query.get("cursors"));
      case "endsessions":
      case "refreshsessions":
        return ok();
      case "listcollections":
        return listCollections(database);
      case "dropdatabase":
        root.keySet().removeIf(key -> key.startsWith(database + "."));
        return ok();
      default:
    }
    if (!WRITES.contains(name) && !READS.contains(name)) {
      return plain.handleCommand(channel, database, command, query);
    }
    if (Boolean.FALSE.equals(query.get("autocommit"))) {
      return inTransaction(channel, database, command, query);
    }
    Object concern = query.get("readConcern");
    if (concern instanceof Document && "snapshot".equals(((Document) concern).get("level"))) {
      return inSnapshot(channel, database, command, query, (Document) concern);
    }
    if (READS.contains(name)) {
      return read(channel, database, command, query, root);
    }
    return write(channel, database, command, query);
  }

  private Document greeting(Channel channel, String database, String command, Document query) {
    Document asked = new Document("ismaster", 1);
    Document answer = plain.handleCommand(channel, "admin", "ismaster", asked);
    answer.put("setName", "rs0");
    answer.put("hosts", List.of(address));
    answer.put("me", address);
    answer.put("primary", address);
    answer.put("setVersion", 1);
    boolean up = System.currentTimeMillis() >= downUntil;
    answer.put("secondary", !up);
    answer.put("isWritablePrimary", up);
    answer.put("ismaster", up);
    if (!up) {
      answer.remove("primary");
    }
    answer.put("minWireVersion", 0);
    answer.put("maxWireVersion", 21);
    answer.put("logicalSessionTimeoutMinutes", 30);
    return answer;
  }

  // -- outside of transactions --------------------------------------------------------------------

  private Document read(
      Channel channel, String database, String command, Document query, Map<String, Coll> view) {
    int size = whole(query);
    Coll coll = view.get(database + "." + query.get(command));
    Document answer = (coll == null ? new Coll() : coll).run(channel, database, command, query);
    return answer.get("cursor") instanceof Document ? inBatches(answer, size) : answer;
  }

  /** Everything at once, for a cursor would outlive the copy that it reads; how much was asked for. */
  private static int whole(Document query) {
    Object options = query.containsKey("find") ? query : query.get("cursor");
    Object asked = options instanceof Document ? ((Document) options).get("batchSize") : null;
    boolean single = Boolean.TRUE.equals(query.get("singleBatch"));
    if (query.containsKey("find")) {
      query.put("batchSize", ALL);
      query.remove("singleBatch");
    } else if (query.containsKey("aggregate")) {
      query.put("cursor", new Document("batchSize", ALL));
    }
    return single ? ALL : asked instanceof Number ? ((Number) asked).intValue() : FIRST_BATCH;
  }

  private Document inBatches(Document answer, int size) {
    Document cursor = (Document) answer.get("cursor");
    List<Document> left = new ArrayList<>();
    for (Object one : (List<?>) cursor.get("firstBatch")) {
      left.add(((Document) one).cloneDeeply());
    }
    cursor.put("firstBatch", taken(left, size));
    cursor.put("id", 0L);
    if (!left.isEmpty()) {
      cursor.put("id", ++lastCursor);
      cursors.put(lastCursor, left);
      if (cursors.size() > KEPT_CURSORS) {
        cursors.remove(cursors.keySet().iterator().next());
      }
    }
    return answer;
  }

  private Document more(String database, Document query) {
    long id = ((Number) query.get("getMore")).longValue();
    List<Document> left = cursors.get(id);
    if (left == null) {
      return error(CURSOR_NOT_FOUND, "cursor id " + id + " not found", List.of());
    }
    Object size = query.get("batchSize");
    List<Document> batch = taken(left, size instanceof Number ? ((Number) size).intValue() : ALL);
    if (left.isEmpty()) {
      cursors.remove(id);
    }
    return ok().append("cursor", new Document("id", left.isEmpty() ? 0L : id)
        .append("ns", database + "." + query.get("collection")).append("nextBatch", batch));
  }

  /** As many as were asked for, and no more than a message may hold. */
  private static List<Document> taken(List<Document> left, int size) {
    List<Document> batch = new ArrayList<>();
    long bytes = 0;
    for (Document one : left) {
      bytes += sizeOf(one);
      if (batch.size() == size || !batch.isEmpty() && bytes > MOST_BYTES) {
        break;
      }
      batch.add(one);
    }
    left.subList(0, batch.size()).clear();
    return batch;
  }

  private static int sizeOf(Document document) {
    ByteBuf buffer = Unpooled.buffer();
    try {
      BsonEncoder.encodeDocument(document, buffer);
      return buffer.readableBytes();
    } finally {
      buffer.release();
    }
  }

  private Document write(Channel channel, String database, String command, Document query) {
    String key = database + "." + query.get(command);
    if (writer != null && writer.own.containsKey(key)) {
      // What the open transaction writes is seldom the same document, so it goes to both.
      apply(channel, database, command, query.cloneDeeply(), writer.own.get(key));
    }
    return apply(channel, database, command, query, writable(root, key, database));
  }

  private Coll writable(Map<String, Coll> view, String key, String database) {
    Coll coll = view.get(key);
    if (coll == null) {
      coll = new Coll();
    } else if (coll.shared) {
      boolean free = coll.spare != null && !isSeen(key, coll.spare);
      String name = key.substring(database.length() + 1);
      coll = (free ? coll.caughtUp(database) : coll.copy(database, name)).after(coll);
    }
    view.put(key, coll);
    return coll;
  }

  private boolean isSeen(String key, Coll coll) {
    return root.get(key) == coll
        || snapshots.values().stream().anyMatch(view -> view.get(key) == coll)
        || transactions.values().stream().anyMatch(one -> one.view.get(key) == coll);
  }

  private static Document apply(
      Channel channel, String database, String command, Document query, Coll coll) {
    coll.note(command, query);
    if (command.equals("createIndexes")) {
      Document kept = query.cloneDeeply();
      Document answer = coll.run(channel, database, command, query);
      coll.indexes.add(kept);
      return answer;
    }
    if (command.equals("dropIndexes")) {
      Object name = query.get("index");
      for (Document one : coll.indexes) {
        ((List<?>) one.get("indexes")).removeIf(i -> name.equals(((Document) i).get("name")));
      }
    }
    return coll.run(channel, database, command, query);
  }

  private Document listCollections(String database) {
    List<Document> found = new ArrayList<>();
    for (String key : new TreeSet<>(root.keySet())) {
      if (key.startsWith(database + ".")) {
        found.add(new Document("name", key.substring(database.length() + 1))
            .append("type", "collection").append("options", new Document()));
      }
    }
    return ok().append("cursor", new Document("id", 0L)
        .append("ns", database + ".$cmd.listCollections").append("firstBatch", found));
  }

  // -- one moment ---------------------------------------------------------------------------------

  private Map<String, Coll> freeze() {
    root.values().forEach(coll -> coll.shared = true);
    return new HashMap<>(root);
  }

  private Document inSnapshot(
      Channel channel, String database, String command, Document query, Document concern) {
    Object at = concern.get("atClusterTime");
    long moment = at == null ? ++time : ((BsonTimestamp) at).getValue();
    if (at == null) {
      snapshots.put(moment, freeze());
      if (snapshots.size() > KEPT_SNAPSHOTS) {
        snapshots.remove(snapshots.keySet().iterator().next());
      }
    }
    Map<String, Coll> view = snapshots.get(moment);
    if (view == null) {
      return error(239, "the snapshot is too old", List.of("TransientTransactionError"));
    }
    Document answer = read(channel, database, command, query, view);
    if (answer.get("cursor") instanceof Document) {
      ((Document) answer.get("cursor")).put("atClusterTime", new BsonTimestamp(moment));
    } else {
      answer.put("atClusterTime", new BsonTimestamp(moment));
    }
    return answer;
  }

  // -- transactions -------------------------------------------------------------------------------

  private static String keyOf(Document query) {
    return query.get("lsid") + "/" + query.get("txnNumber");
  }

  private Document inTransaction(
      Channel channel, String database, String command, Document query) {
    String id = keyOf(query);
    if (Boolean.TRUE.equals(query.get("startTransaction"))) {
      // A session has one transaction: what is left of the last one ends here.
      abortAllOf(String.valueOf(query.get("lsid")));
      transactions.put(id, new Transaction(freeze()));
    }
    Transaction transaction = transactions.get(id);
    if (transaction == null) {
      return error(NO_SUCH_TRANSACTION, "no such transaction",
          List.of("TransientTransactionError"));
    }
    transaction.touched = System.currentTimeMillis();
    if (READS.contains(command.toLowerCase(java.util.Locale.ROOT))) {
      return failing(id, () -> read(channel, database, command, query, transaction.view));
    }
    String key = database + "." + query.get(command);
    if (!mayWrite(transaction, key)) {
      abort(id);
      return error(WRITE_CONFLICT, "write conflict", List.of("TransientTransactionError"));
    }
    Coll coll = transaction.own.get(key);
    if (coll == null) {
      coll = writable(transaction.view, key, database);
      transaction.own.put(key, coll);
    }
    Coll mine = coll;
    return failing(id, () -> apply(channel, database, command, query, mine));
  }

  private boolean mayWrite(Transaction transaction, String key) {
    if (writer != null && writer != transaction
        && System.currentTimeMillis() - writer.touched > ABANDONED_MS) {
      writer = null;
    }
    if (writer != null && writer != transaction) {
      return false;
    }
    if (!transaction.own.containsKey(key) && root.get(key) != transaction.view.get(key)) {
      return false;
    }
    writer = transaction;
    return true;
  }

  /** An error ends its transaction, as on a real server. */
  private Document failing(String id, java.util.function.Supplier<Document> work) {
    try {
      Document answer = work.get();
      Object number = answer.get("ok");
      boolean good = number instanceof Number && ((Number) number).doubleValue() == 1.0;
      if (!good || answer.containsKey("writeErrors")) {
        abort(id);
      }
      return answer;
    } catch (RuntimeException error) {
      abort(id);
      throw error;
    }
  }

  private void abortAllOf(String session) {
    for (String id : new ArrayList<>(transactions.keySet())) {
      if (id.startsWith(session + "/")) {
        abort(id);
      }
    }
  }

  private void abort(String id) {
    if (writer == transactions.remove(id)) {
      writer = null;
    }
  }

  private Document end(Document query, boolean commit) {
    String id = keyOf(query);
    Transaction transaction = transactions.get(id);
    if (transaction == null) {
      boolean known = commit && finished.containsKey(id);
      return known ? ok() : error(NO_SUCH_TRANSACTION, "no such transaction",
          commit ? List.of("TransientTransactionError") : List.of());
    }
    if (commit) {
      if (!transaction.own.isEmpty() && writer != transaction) {
        abort(id);
        return error(NO_SUCH_TRANSACTION, "abandoned", List.of("TransientTransactionError"));
      }
      root.putAll(transaction.own);
      finished.put(id, "");
      if (finished.size() > 1000) {
        finished.remove(finished.keySet().iterator().next());
      }
    }
    abort(id);
    return ok();
  }

  private static Document ok() {
    return new Document("ok", 1.0);
  }

  private static Document error(int code, String message, List<?> labels) {
    return new Document("ok", 0.0).append("errmsg", message).append("code", code)
        .append("codeName", "Code" + code).append("errorLabels", labels);
  }

  // -- the rest of the interface --------------------------------------------------------------------

  @Override public void handleClose(Channel channel) {}

  @Override public QueryResult handleQuery(MongoQuery query) {
    Document body = query.getQuery();
    String command = body.keySet().iterator().next();
    String database = query.getDatabaseName();
    return new QueryResult(List.of(handle(query.getChannel(), database, command, body)));
  }

  @Override public void dropDatabase(String name) {
    root.keySet().removeIf(key -> key.startsWith(name + "."));
  }

  @Override public Collection<Document> getCurrentOperations(MongoQuery query) {
    return List.of();
  }

  @Override public Document getServerStatus() {
    return plain.getServerStatus();
  }

  @Override public void close() {}

  @Override public void closeCursors(List<Long> cursors) {}

  @Override public Clock getClock() {
    return plain.getClock();
  }

  @Override public void enableOplog() {}

  @Override public void disableOplog() {}

  @Override public MongoDatabase resolveDatabase(String name) {
    return plain.resolveDatabase(name);
  }

  @Override public MongoBackend version(MongoVersion version) {
    return this;
  }
}
