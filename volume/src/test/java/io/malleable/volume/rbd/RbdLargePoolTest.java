package io.malleable.volume.rbd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.VolumeInfo;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What has to look at all volumes of a pool asks little of each: the OSD counts the requests. */
final class RbdLargePoolTest extends OnCephCluster {
  private static final long MIB = 1 << 20;
  private static final int MANY = 80;

  /** To open an image takes more than ten. */
  private static final int REQUESTS_FOR_EACH = 3;

  private RbdConfig config;

  @BeforeEach
  void emptyPool() throws IOException, InterruptedException {
    config = cluster.emptyPool();
  }

  private interface Call {
    void run() throws IOException;
  }

  /** How many requests the OSD served meanwhile. */
  private static long requests(Call call) throws IOException, InterruptedException {
    long before = served();
    call.run();
    return served() - before;
  }

  private static long served() throws IOException, InterruptedException {
    String counter =
        cluster.ceph(
            "--admin-daemon",
            cluster.conf().resolveSibling("osd.0.asok").toString(),
            "perf",
            "dump",
            "osd",
            "op");
    return Long.parseLong(counter.replaceAll("(?s).*\"op\": *([0-9]+).*", "$1"));
  }

  private static UUID sealed(RbdVolumeStore store) throws IOException {
    UUID id = UUID.randomUUID();
    store.create(id, MIB);
    store.seal(id);
    return id;
  }

  private static List<UUID> sealed(RbdVolumeStore store, int number) throws IOException {
    List<UUID> ids = new ArrayList<>();
    for (int i = 0; i < number; i++) {
      ids.add(sealed(store));
    }
    return ids;
  }

  private static Set<UUID> ids(RbdVolumeStore store) throws IOException {
    return store.list().stream().map(VolumeInfo::id).collect(Collectors.toSet());
  }

  @Test
  void deletingAndListingTakeAFewRequestsForEachVolumeOfThePool() throws Exception {
    try (RbdVolumeStore store = RbdVolumeStore.open(config)) {
      List<UUID> first = sealed(store, 3);
      long deleteOfFew = requests(() -> store.delete(first.get(0)));
      long listOfFew = requests(() -> ids(store));
      Set<UUID> all = new HashSet<>(sealed(store, MANY));
      long deleteOfMany = requests(() -> store.delete(first.get(1)));
      assertTrue(
          deleteOfMany - deleteOfFew < MANY * REQUESTS_FOR_EACH,
          deleteOfFew + " requests with few volumes, " + deleteOfMany + " with " + MANY + " more");
      all.add(first.get(2));
      assertEquals(all, ids(store));
      long listOfMany = requests(() -> assertEquals(all, ids(store)));
      assertTrue(
          listOfMany - listOfFew < MANY * REQUESTS_FOR_EACH,
          listOfFew + " requests with few volumes, " + listOfMany + " with " + MANY + " more");
      long usable = requests(() -> assertEquals(all, store.usable(all)));
      assertTrue(usable < MANY * REQUESTS_FOR_EACH, usable + " requests");
    }
  }

  @Test
  void onlyWhatIsThereAndUnderstoodIsUsable() throws Exception {
    try (RbdVolumeStore store = RbdVolumeStore.open(config)) {
      List<UUID> ids = sealed(store, 3);
      UUID gone = UUID.randomUUID();
      UUID unfinished = UUID.randomUUID();
      cluster.rbd("create", "--size", "1M", config.pool() + "/" + unfinished);
      cluster.rbd("create", "--size", "1M", config.pool() + "/of-others");
      String damaged = config.pool() + "/" + ids.get(1);
      cluster.rbd("image-meta", "set", damaged, "m2.volume", "1 x -");
      assertEquals(
          Set.of(ids.get(0), ids.get(2)),
          store.usable(List.of(ids.get(0), ids.get(1), ids.get(2), gone, unfinished)));
      assertEquals(Set.of(ids.get(0)), store.usable(Set.of(ids.get(0))));
    }
  }

  @Test
  void aVolumeIsKeptForWhatDescendsFromItEvenWhereRbdKnowsNoChild() throws Exception {
    try (RbdVolumeStore store = RbdVolumeStore.open(config)) {
      UUID image = sealed(store);
      UUID disk = UUID.randomUUID();
      UUID snapshot = UUID.randomUUID();
      store.clone(disk, image, MIB);
      store.snapshot(snapshot, disk);
      store.flatten(disk);
      VolumeException refusal = assertThrows(VolumeException.class, () -> store.delete(image));
      assertEquals(Reason.HAS_DEPENDANTS, refusal.reason());
      assertTrue(refusal.toString().contains(snapshot.toString()), refusal.toString());
      store.rollback(disk, snapshot);
      store.delete(snapshot);
      refusal = assertThrows(VolumeException.class, () -> store.delete(image));
      assertTrue(refusal.toString().contains(disk.toString()), refusal.toString());
      store.delete(disk);
      store.delete(image);
      assertEquals(Set.of(), ids(store));
    }
  }
}
