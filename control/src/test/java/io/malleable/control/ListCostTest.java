package io.malleable.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** A page takes as many statements as it takes, however many rows it has. */
final class ListCostTest {
  private static final PageRequest WHOLE = new PageRequest(Optional.empty(), PageRequest.MAX_LIMIT);

  private Fixture fixture;
  private UUID project;

  @BeforeEach
  void open(@TempDir Path directory) throws Exception {
    fixture = new Fixture(directory);
    project = fixture.project();
    fixture.control.projects().create("friend");
    for (int i = 0; i < 2; i++) {
      add(i);
    }
  }

  @AfterEach
  void close() throws IOException {
    fixture.close();
  }

  /** One more of everything, each on something else, and all that a row can have. */
  private void add(int i) throws InterruptedException {
    fixture.image("image-" + i);
    fixture.control.images().share(project, "image-" + i, "friend");
    fixture.disk("disk-" + i, "image-" + i);
    fixture.snapshot("snapshot-" + i, "disk-" + i);
    fixture.succeeded(
        fixture
            .control
            .snapshots()
            .promote(project, "snapshot-" + i, "made-" + i, Image.Visibility.PRIVATE));
    fixture.snapshot("more-" + i, "disk-0");
    fixture.disk("trashed-" + i, "made-" + i);
    fixture.succeeded(
        fixture.control.disks().delete(project, "trashed-" + i, Disks.Deletion.TRASH));
    fixture.provisioned("node-" + i, 2 * i + 1, "image-" + i);
  }

  private int statementsOf(Supplier<Page<?>> list, int rows) {
    int before = fixture.statements.get();
    assertEquals(rows, list.get().items().size());
    return fixture.statements.get() - before;
  }

  private record Listed(String name, Supplier<Page<?>> list, int each) {}

  private List<Listed> lists() {
    Control control = fixture.control;
    return List.of(
        new Listed("images", () -> control.images().list(project, WHOLE), 2),
        new Listed("disks", () -> control.disks().list(project, WHOLE), 2),
        new Listed("trash", () -> control.disks().listTrash(project, WHOLE), 1),
        new Listed("snapshots", () -> control.snapshots().list(project, WHOLE), 2),
        new Listed("nodes", () -> control.nodes().list(project, WHOLE), 1));
  }

  @TestFactory
  Stream<DynamicTest> theNumberOfStatementsDoesNotGrowWithTheRows() {
    return lists().stream()
        .map(listed ->
            DynamicTest.dynamicTest(
                listed.name(),
                () -> {
                  int rows = listed.list().get().items().size();
                  int sets = rows / listed.each();
                  int few = statementsOf(listed.list(), rows);
                  assertTrue(few <= 4, few + " statements");
                  add(sets);
                  add(sets + 1);
                  assertEquals(few, statementsOf(listed.list(), rows + 2 * listed.each()));
                }));
  }

  @Test
  void snapshotsOfOneDiskAreReadWithoutThoseOfOthers() {
    Page<Snapshot> first =
        fixture
            .control
            .snapshots()
            .listOfDisk(project, "disk-0", new PageRequest(Optional.empty(), 2));
    assertEquals(List.of("more-0", "more-1"), first.items().stream().map(Snapshot::name).toList());
    Page<Snapshot> second =
        fixture.control.snapshots().listOfDisk(project, "disk-0", new PageRequest(first.next(), 2));
    assertEquals(List.of("snapshot-0"), second.items().stream().map(Snapshot::name).toList());
    assertEquals(Optional.empty(), second.next());
    assertEquals(
        List.of("snapshot-1"),
        fixture.control.snapshots().listOfDisk(project, "disk-1", WHOLE).items().stream()
            .map(Snapshot::name)
            .toList());
  }

  @Test
  void nicsOfANodeKeepTheirOrder() {
    List<MacAddress> nics = List.of(Fixture.mac(200), Fixture.mac(100), Fixture.mac(150));
    fixture
        .control
        .nodes()
        .add(
            project,
            new NodeSpec(
                "many",
                nics,
                Firmware.BIOS,
                "x86_64",
                Optional.empty(),
                Optional.empty(),
                List.of(),
                AfterHostCrash.REBOOT));
    assertEquals(nics, fixture.control.nodes().get(project, "many").nics());
  }
}
