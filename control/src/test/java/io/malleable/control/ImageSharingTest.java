package io.malleable.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.VolumeInfo;
import io.malleable.volume.VolumeStore;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Images between projects. */
final class ImageSharingTest {
  private Fixture fixture;
  private Images images;
  private UUID owner;
  private UUID other;

  @BeforeEach
  void open(@TempDir Path directory) throws IOException {
    fixture = new Fixture(directory);
    images = fixture.control.images();
    owner = fixture.project();
    other = fixture.control.projects().create("other").id();
  }

  @AfterEach
  void close() throws IOException {
    assertEquals(List.of(), fixture.control.inconsistencies());
    fixture.close();
  }

  private List<String> seenBy(UUID project) {
    return images.list(project, PageRequest.first()).items().stream()
        .map(image -> image.project() + "/" + image.name())
        .toList();
  }

  private Disk clone(UUID project, String name, String image) throws Exception {
    fixture.succeeded(
        fixture
            .control
            .disks()
            .create(project, name, new DiskOrigin.OfImage(image), Optional.empty()));
    return fixture.control.disks().get(project, name);
  }

  @Test
  void anImageIsSharedWithOneProjectAndNotWithTheRest() throws Exception {
    Image image = fixture.image("golden");
    UUID third = fixture.control.projects().create("third").id();
    assertEquals(List.of("other"), images.share(owner, "golden", "other").sharedWith());
    assertEquals(List.of("other"), images.share(owner, "golden", "other").sharedWith());
    assertEquals(List.of("default/golden"), seenBy(other));
    assertEquals(List.of(), seenBy(third));
    Refused.with(ErrorCode.NOT_FOUND, () -> images.get(third, image.id().toString()));
    Image seen = images.get(other, "default/golden");
    assertEquals(List.of(), seen.sharedWith(), "with whom else is the owner's business");
    Refused.with(ErrorCode.IMAGE_NOT_OWNED, () -> images.share(other, "default/golden", "third"));
    Refused.with(ErrorCode.IMAGE_NOT_OWNED, () -> images.delete(other, "golden"));
    Refused.with(ErrorCode.FIELD_INVALID, () -> images.share(owner, "golden", "default"));
    Refused.with(ErrorCode.NOT_FOUND, () -> images.share(owner, "golden", "nobody"));
    List<String> kinds =
        fixture.control.events().list(Optional.of(owner), PageRequest.first()).items().stream()
            .map(Event::kind)
            .toList();
    assertEquals(1, kinds.stream().filter("image.shared"::equals).count(), kinds::toString);
  }

  @Test
  void aDiskOfASharedImageGoesOnAfterUnsharingButNoNewOneIsMade() throws Exception {
    Image image = fixture.image("golden");
    images.share(owner, "golden", "other");
    Disk disk = clone(other, "mine", "golden");
    assertEquals(List.of(), images.unshare(owner, "golden", "other").sharedWith());
    Refused.with(ErrorCode.NOT_FOUND, () -> clone(other, "more", "golden"));
    Refused.with(ErrorCode.NOT_FOUND, () -> images.get(other, "default/golden"));
    fixture.write(disk.id(), (byte) 9);
    assertEquals(9, fixture.read(disk.id()));
    fixture.succeeded(fixture.control.snapshots().create(other, "then", "mine"));
    fixture.write(disk.id(), (byte) 8);
    fixture.succeeded(fixture.control.disks().rollback(other, "mine", "then"));
    assertEquals(9, fixture.read(disk.id()));
    Disk now = fixture.control.disks().get(other, "mine");
    assertEquals(Optional.of("golden"), disk.parent().map(Ref::name));
    assertEquals(Optional.empty(), now.parent(), "not theirs to see");
    assertEquals(List.of(now), fixture.control.disks().list(other, PageRequest.first()).items());
    assertEquals(List.of(), fixture.control.lineage().of(disk, other), "not theirs to see");
    ControlException e =
        Refused.with(ErrorCode.IMAGE_HAS_CLONES, () -> images.delete(owner, "golden"));
    assertTrue(e.message().contains("1 disk(s) of the project 'other'"), e.message());
    assertTrue(!e.message().contains("mine"), e.message());
    ControlException cascade =
        Refused.with(
            ErrorCode.IMAGE_HAS_CLONES, () -> images.deleteWithDependants(owner, "golden"));
    assertTrue(cascade.message().contains("the project 'other'"), cascade.message());
    assertTrue(fixture.volumes.find(image.id()).isPresent());
  }

  @Test
  void aNameThatSeveralOthersShareIsNotChosenBetween() throws Exception {
    fixture.image("golden");
    images.share(owner, "golden", "other");
    UUID third = fixture.control.projects().create("third").id();
    fixture.succeeded(images.copy(other, "golden", Optional.of("third"), Optional.empty(), LINKED));
    images.change(
        third, "golden", Optional.empty(), Optional.of(Image.Visibility.PUBLIC), Optional.empty());
    ControlException e =
        Refused.with(ErrorCode.NAME_AMBIGUOUS, () -> clone(other, "mine", "golden"));
    assertTrue(e.message().contains("default/golden, third/golden"), e.message());
    assertEquals("third", images.get(other, "third/golden").project());
    assertEquals("default", images.get(owner, "golden").project(), "one's own goes first");
    Refused.with(ErrorCode.NOT_FOUND, () -> images.get(other, "other/golden"));
    Refused.with(ErrorCode.NOT_FOUND, () -> images.get(other, "third/"));
  }

  private static final Images.CopyMode LINKED = Images.CopyMode.LINKED;
  private static final Images.CopyMode FULL = Images.CopyMode.FULL;

  @Test
  void aLinkedCopyIsTheOtherProjectsOwnAndLivesOnTheOriginal() throws Exception {
    UUID original = golden((byte) 5);
    Operation operation =
        images.copy(owner, "golden", Optional.of("other"), Optional.of("bronze"), LINKED);
    assertEquals(OperationState.SUCCEEDED, operation.state(), "constant time: done at once");
    Image copy = images.get(other, "bronze");
    assertEquals("other", copy.project());
    assertEquals(images.get(owner, "golden").sha256(), copy.sha256());
    assertEquals(Optional.empty(), copy.parent(), "the original is not theirs to see");
    images.share(owner, "golden", "other");
    assertEquals(Optional.of(original), images.get(other, "bronze").parent().map(Ref::id));
    images.unshare(owner, "golden", "other");
    assertEquals(5, fixture.read(clone(other, "d", "bronze").id()));
    images.change(
        other, "bronze", Optional.of("silver"), Optional.empty(), Optional.of(copy.revision()));
    ControlException e =
        Refused.with(ErrorCode.IMAGE_HAS_CLONES, () -> images.delete(owner, "golden"));
    assertTrue(e.message().contains("1 image(s) of the project 'other'"), e.message());
    fixture.succeeded(images.deleteWithDependants(other, "silver"));
    fixture.succeeded(images.deleteWithDependants(owner, "golden"));
  }

  @Test
  void aFullCopyDependsOnNothing() throws Exception {
    UUID original = golden((byte) 6);
    images.share(owner, "golden", "other");
    fixture.succeeded(
        images.copy(other, "default/golden", Optional.empty(), Optional.empty(), FULL));
    Image copy = images.get(other, "golden");
    assertEquals("other", copy.project(), "one's own goes before the shared one");
    assertEquals(Optional.empty(), copy.parent());
    fixture.succeeded(images.deleteWithDependants(owner, "golden"));
    assertEquals(Optional.empty(), fixture.volumes.find(original));
    VolumeInfo volume = fixture.volumes.find(copy.id()).orElseThrow();
    assertTrue(volume.sealed());
    assertTrue(volume.allocatedBytes() <= 64 << 10, "sparse: " + volume.allocatedBytes());
    assertEquals(6, fixture.read(clone(other, "d", "golden").id()));
  }

  @Test
  void aCopyNeedsAFreeNameAndAnImageThatOneMayUse() throws Exception {
    fixture.image("golden");
    Refused.with(
        ErrorCode.NAME_TAKEN,
        () -> images.copy(owner, "golden", Optional.empty(), Optional.empty(), LINKED));
    Refused.with(
        ErrorCode.NOT_FOUND,
        () -> images.copy(other, "default/golden", Optional.empty(), Optional.empty(), LINKED));
    Refused.with(
        ErrorCode.NOT_FOUND,
        () -> images.copy(owner, "golden", Optional.of("nobody"), Optional.empty(), LINKED));
    Refused.with(
        ErrorCode.NAME_INVALID,
        () -> images.copy(owner, "golden", Optional.empty(), Optional.of("No"), LINKED));
  }

  @Test
  void aMovedImageHasANewOwnerAndTheSameContent() throws Exception {
    Image image = fixture.image("golden");
    images.share(owner, "golden", "other");
    Refused.with(
        ErrorCode.REVISION_CHANGED,
        () ->
            images.move(owner, "golden", "other", Optional.empty(), Optional.of(image.revision())));
    Image moved = images.move(owner, "golden", "other", Optional.of("bronze"), Optional.empty());
    assertEquals(image.id(), moved.id());
    assertEquals("other/bronze", moved.project() + "/" + moved.name());
    assertEquals(List.of(), moved.sharedWith(), "one does not share with oneself");
    assertEquals(Optional.of("image default/golden"), moved.source(), "not the owner's path");
    Refused.with(ErrorCode.NOT_FOUND, () -> images.get(owner, image.id().toString()));
    clone(other, "d", "bronze");
    assertEquals(List.of("other/bronze"), seenBy(other));
  }

  @Test
  void anImageStaysWithItsProjectWhileThatLivesOnIt() throws Exception {
    fixture.image("golden");
    fixture.disk("data", "golden");
    ControlException e =
        Refused.with(
            ErrorCode.IMAGE_HAS_CLONES,
            () -> images.move(owner, "golden", "other", Optional.empty(), Optional.empty()));
    assertTrue(e.message().contains("disk 'data'"), e.message());
    images.change(
        owner, "golden", Optional.empty(), Optional.of(Image.Visibility.PUBLIC), Optional.empty());
    images.move(owner, "golden", "other", Optional.empty(), Optional.empty());
    assertEquals("other", images.get(owner, "golden").project());
    clone(owner, "more", "golden");
  }

  @Test
  void whatASharedProjectKnowsEndsWithTheProject() throws Exception {
    fixture.image("golden");
    images.share(owner, "golden", "other");
    fixture.control.projects().delete("other");
    assertEquals(List.of(), images.get(owner, "golden").sharedWith());
  }

  @Test
  void lineageGoesBackToTheFirstImage() throws Exception {
    fixture.image("golden");
    Disk disk = fixture.disk("data", "golden");
    Snapshot snapshot = fixture.snapshot("then", "data");
    fixture.succeeded(
        fixture.control.snapshots().promote(owner, "then", "next", Image.Visibility.PRIVATE));
    Disk second = fixture.disk("second", "next");
    assertEquals(List.of("image 'golden'"), lineage(disk));
    assertEquals(List.of("image 'golden'"), lineage(snapshot));
    assertEquals(List.of("image 'next'", "snapshot 'then'", "image 'golden'"), lineage(second));
    assertEquals(List.of(), lineage(images.get(owner, "golden")));
  }

  private List<String> lineage(Resource resource) {
    return fixture.control.lineage().of(resource, owner).stream()
        .map(ancestor -> ancestor.ref().toString())
        .toList();
  }

  @Test
  void spaceSaysWhatIsStoredOnceForSeveral() throws Exception {
    golden((byte) 3);
    assertEquals(0, fixture.control.sharedBytes(), "nobody but the image itself");
    Disk disk = fixture.disk("data", "golden");
    fixture.write(disk.id(), (byte) 4);
    Space space = fixture.control.space();
    long image = images.get(owner, "golden").measure().allocatedBytes().orElseThrow();
    assertTrue(image > 0);
    assertEquals(image, fixture.control.sharedBytes());
    assertEquals(1 << 20, space.provisionedBytes());
    assertTrue(space.capacity().allocatedBytes() > image, space::toString);
  }

  @Test
  void theStoreIsAskedAboutWhatIsSharedOnceAMinute() throws Exception {
    fixture.image("golden");
    fixture.disk("data", "golden");
    AtomicInteger asked = new AtomicInteger();
    VolumeStore counting =
        (VolumeStore)
            Proxy.newProxyInstance(
                VolumeStore.class.getClassLoader(),
                new Class<?>[] {VolumeStore.class},
                (_, method, arguments) -> {
                  if (method.getName().equals("find")) {
                    asked.incrementAndGet();
                  }
                  return method.invoke(fixture.volumes, arguments);
                });
    SharedBytes shared =
        new SharedBytes(
            new Ports(
                fixture.database,
                counting,
                fixture.targets,
                fixture.power,
                fixture.imports,
                fixture.clock),
            new PatientStore(counting, Duration.ofMinutes(1)));
    assertEquals(shared.sum(), shared.sum());
    assertEquals(1, asked.get());
    fixture.disk("later", "golden");
    fixture.image("silver");
    fixture.disk("other", "silver");
    assertEquals(shared.sum(), shared.sum());
    assertEquals(2, asked.get(), "only about the new one");
    fixture.clock.advance(Duration.ofMinutes(1));
    assertEquals(shared.sum(), shared.sum());
    assertEquals(4, asked.get());
  }

  /** An image that is not empty. */
  private UUID golden(byte value) throws Exception {
    fixture.image("base");
    fixture.write(fixture.disk("maker", "base").id(), value);
    fixture.snapshot("made", "maker");
    fixture.succeeded(
        fixture.control.snapshots().promote(owner, "made", "middle", Image.Visibility.PRIVATE));
    fixture.succeeded(images.copy(owner, "middle", Optional.empty(), Optional.of("golden"), FULL));
    fixture.succeeded(images.deleteWithDependants(owner, "base"));
    return images.get(owner, "golden").id();
  }
}
