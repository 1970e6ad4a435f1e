package io.malleable.control;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** Golden images. */
public final class Images {
  private static final Set<String> FORMATS = Set.of("raw", "qcow2", "vmdk", "vhdx");

  private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");

  private final Ports ports;
  private final Engine engine;
  private final PatientStore store;
  private final ImageCopies copies;
  private final ImageCascade cascade;
  private final ImageSharing sharing;
  private final ImageReaders readers = new ImageReaders();

  Images(Ports ports, PatientStore store, Engine engine) {
    this.ports = ports;
    this.engine = engine;
    this.store = store;
    engine.register(OperationKind.IMAGE_IMPORT, new Import());
    engine.register(OperationKind.IMAGE_DELETE, new Delete());
    this.copies = new ImageCopies(ports, engine);
    this.cascade = new ImageCascade(ports, engine, readers);
    this.sharing = new ImageSharing(ports);
  }

  /** Whether a copy stores its content anew. */
  public enum CopyMode {
    /** In constant time: the copy lives on the original, which cannot be deleted before it. */
    LINKED,
    /** Takes time and space, and depends on nothing afterwards. */
    FULL
  }

  /**
   * Finds an image that the project may use by name, {@code PROJECT/NAME} or id.
   *
   * @throws ControlException NOT_FOUND, NAME_AMBIGUOUS
   */
  public Image get(UUID project, String reference) {
    return measured(
        ports
            .database()
            .read(rows -> seenBy(rows, project, Lookup.image(rows, project, reference))));
  }

  /**
   * Keeps an image from being deleted while its content is read; close what this returns.
   *
   * @throws ControlException NOT_FOUND, NAME_AMBIGUOUS, IMAGE_NOT_READY
   */
  public ImageReading read(UUID project, String reference) {
    return ports
        .database()
        .write(rows -> {
          Image image = Lookup.image(rows, project, reference);
          Lookup.requireReady(image);
          return readers.begin(image);
        });
  }

  /** Own images, public ones, and those shared with the project, in the order of names. */
  public Page<Image> list(UUID project, PageRequest request) {
    Page<Image> page =
        ports
            .database()
            .read(rows ->
                request.page(
                    seenBy(
                        rows,
                        project,
                        rows.images()
                            .pageVisible(project, request.afterKey(), request.limit() + 1)),
                    image -> image.name() + "/" + image.id()));
    return measuredAll(page);
  }

  /** With whom an image is shared and what it was made of is the owner's business. */
  private static List<Image> seenBy(Rows rows, UUID project, List<Image> images) {
    List<Image> own = images.stream().filter(i -> i.projectId().equals(project)).toList();
    Set<UUID> visible = Lineage.visibleParents(rows, own, project);
    Map<UUID, List<String>> shared =
        rows.images().sharedWith(own.stream().map(Image::id).collect(Collectors.toSet()));
    return images.stream()
        .map(image -> {
          boolean seesParent = image.parent().filter(p -> visible.contains(p.id())).isPresent();
          Image seen = seesParent ? image : image.withoutParent();
          return seen.withSharedWith(shared.getOrDefault(image.id(), List.of()));
        })
        .toList();
  }

  private static Image seenBy(Rows rows, UUID project, Image image) {
    return seenBy(rows, project, List.of(image)).getFirst();
  }

  private Image measured(Image image) {
    return image.with(new VolumeCheck(ports.database(), store).image(image.id()));
  }

  private Page<Image> measuredAll(Page<Image> page) {
    VolumeCheck check =
        new VolumeCheck(ports.database(), store)
            .lookUp(page.items().stream().map(Image::id).toList());
    return new Page<>(
        page.items().stream().map(image -> image.with(check.image(image.id()))).toList(),
        page.next());
  }

  /**
   * Makes an image of a file. What can be seen at once to be wrong is refused at once; the rest
   * fails the operation and leaves nothing behind.
   *
   * @return the operation; its subject is the image
   * @throws ControlException NAME_INVALID, NAME_TAKEN, FIELD_INVALID, IMAGE_SOURCE_MISSING,
   *     IMAGE_INVALID, IMAGE_SOURCE_UNSUPPORTED, OUT_OF_SPACE
   */
  public Operation importImage(
      UUID project,
      String name,
      ImageSource source,
      ImageExpectation expected,
      Image.Visibility visibility) {
    ResourceName.check("name", name);
    expected.format().ifPresent(Images::checkFormat);
    expected.sha256().ifPresent(Images::checkSha256);
    ports.imports().check(source, expected.format());
    return engine.submit(rows -> {
      requireNameFree(rows, project, name);
      Image image =
          new Image(
              UUID.randomUUID(),
              project,
              "",
              name,
              Image.State.CREATING,
              ports.clock().instant(),
              0,
              new Measure.Unknown(),
              Optional.empty(),
              visibility,
              List.of(),
              expected.format(),
              Optional.empty(),
              Optional.of(source.description()),
              1);
      rows.images().insert(image);
      Map<String, String> input = new HashMap<>();
      input.put("image", image.id().toString());
      ImageSources.write(input, source);
      expected.format().ifPresent(format -> input.put("format", format));
      expected.sha256().ifPresent(sha256 -> input.put("sha256", sha256));
      return new Submission(
          UUID.randomUUID(), OperationKind.IMAGE_IMPORT, project, image.ref(), input);
    });
  }

  /**
   * Asks before a long upload what {@link #importImage} would refuse after it.
   *
   * @throws ControlException NAME_TAKEN
   */
  public void requireNameFree(UUID project, String name) {
    ports
        .database()
        .read(rows -> {
          requireNameFree(rows, project, name);
          return true;
        });
  }

  /** Names of the files of unfinished imports of uploads; all others have served their purpose. */
  public Set<String> uploadsInUse() {
    Set<String> names = new HashSet<>();
    for (Operation operation : ports.database().read(rows -> rows.operations().unfinished())) {
      if (operation.kind() == OperationKind.IMAGE_IMPORT
          && ImageSources.read(operation.input()) instanceof ImageSource.Upload(Path path)) {
        names.add(String.valueOf(path.getFileName()));
      }
    }
    return names;
  }

  private static void checkFormat(String format) {
    if (!FORMATS.contains(format)) {
      throw ControlException.ofField(
          ErrorCode.FIELD_INVALID,
          "format",
          format,
          "'" + format + "' is not an image format that we read.",
          "Use raw, qcow2, vmdk or vhdx, or leave it out.");
    }
  }

  private static void checkSha256(String sha256) {
    if (!SHA256.matcher(sha256).matches()) {
      throw ControlException.ofField(
          ErrorCode.FIELD_INVALID,
          "sha256",
          sha256,
          "'" + sha256 + "' is not a SHA-256.",
          "Give 64 lower-case hexadecimal digits, as sha256sum prints them.");
    }
  }

  static void requireNameFree(Rows rows, UUID project, String name) {
    if (rows.images().findByName(project, name).isPresent()) {
      throw Lookup.taken(ResourceKind.IMAGE, name);
    }
  }

  /**
   * Renames an image or changes who may clone it; an absent part stays.
   *
   * @throws ControlException NOT_FOUND, NAME_INVALID, NAME_TAKEN, IMAGE_NOT_OWNED, REVISION_CHANGED
   */
  public Image change(
      UUID project,
      String reference,
      Optional<String> name,
      Optional<Image.Visibility> visibility,
      Optional<Long> expectedRevision) {
    name.ifPresent(n -> ResourceName.check("name", n));
    return measured(
        ports
            .database()
            .write(rows -> {
              Image image = Lookup.ownImage(rows, project, reference);
              Lookup.requireRevision(expectedRevision, image.revision());
              String newName = name.orElse(image.name());
              if (!newName.equals(image.name())) {
                requireNameFree(rows, project, newName);
              }
              rows.images().update(image.with(newName, visibility.orElse(image.visibility())));
              return seenBy(rows, project, Lookup.image(rows, project, image.id().toString()));
            }));
  }

  /**
   * Lets another project use an image; it already being shared is no error.
   *
   * @throws ControlException NOT_FOUND, IMAGE_NOT_OWNED, FIELD_INVALID, LIMIT_EXCEEDED
   */
  public Image share(UUID project, String reference, String with) {
    return measured(
        ports
            .database()
            .write(rows -> seenBy(rows, project, sharing.share(rows, project, reference, with))));
  }

  /**
   * Ends that. What the other project has made of the image goes on living; it only makes nothing
   * new.
   *
   * @throws ControlException NOT_FOUND, IMAGE_NOT_OWNED
   */
  public Image unshare(UUID project, String reference, String with) {
    return measured(
        ports
            .database()
            .write(rows -> seenBy(rows, project, sharing.unshare(rows, project, reference, with))));
  }

  /**
   * Gives an image to another project. Nothing is copied, and what lives on it is not touched.
   *
   * @param name a new name, for the case that the other project uses the old one
   * @return the image as its new owner sees it
   * @throws ControlException NOT_FOUND, IMAGE_NOT_OWNED, IMAGE_BUSY, IMAGE_NOT_READY, NAME_INVALID,
   *     NAME_TAKEN, REVISION_CHANGED, FIELD_INVALID; IMAGE_HAS_CLONES when the old owner would lose
   *     the image that its own disks, snapshots or images live on
   */
  public Image move(
      UUID project,
      String reference,
      String to,
      Optional<String> name,
      Optional<Long> expectedRevision) {
    name.ifPresent(n -> ResourceName.check("name", n));
    return measured(
        ports
            .database()
            .write(rows -> {
              Image image = Lookup.ownImage(rows, project, reference);
              Lookup.requireRevision(expectedRevision, image.revision());
              Image moved = sharing.move(rows, image, to, name);
              return seenBy(rows, moved.projectId(), moved);
            }));
  }

  /**
   * Makes an image of one's own of any image that the project may use.
   *
   * @param to the project that gets the copy; absent means the project that asks
   * @param name of the copy; absent means that of the original
   * @return the operation; its subject is the copy
   * @throws ControlException NOT_FOUND, NAME_AMBIGUOUS, NAME_INVALID, NAME_TAKEN, IMAGE_NOT_READY
   */
  public Operation copy(
      UUID project, String reference, Optional<String> to, Optional<String> name, CopyMode mode) {
    name.ifPresent(n -> ResourceName.check("name", n));
    return copies.copy(project, reference, to, name, mode);
  }

  /**
   * Deletes an image with everything that lives on it, for good. All or nothing: something that is
   * attached, exposed, busy or another project's refuses the whole of it.
   *
   * @throws ControlException NOT_FOUND, IMAGE_NOT_OWNED, IMAGE_BUSY, IMAGE_HAS_CLONES,
   *     DISK_ATTACHED naming the nodes, DISK_EXPOSED, DISK_BUSY, SNAPSHOT_BUSY, LIMIT_EXCEEDED
   */
  public Operation deleteWithDependants(UUID project, String reference) {
    return cascade.delete(project, reference);
  }

  /**
   * Deletes an image.
   *
   * @throws ControlException NOT_FOUND, IMAGE_NOT_OWNED, IMAGE_BUSY, IMAGE_HAS_CLONES naming them
   */
  public Operation delete(UUID project, String reference) {
    return engine.submit(rows -> {
      Image image = Lookup.ownImage(rows, project, reference);
      Claims.requireFree(rows, image.ref());
      readers.requireNone(image.ref());
      Dependants.requireNone(
          rows,
          project,
          image.ref(),
          ErrorCode.IMAGE_HAS_CLONES,
          "Delete or flatten them first, or all with it: m2 image delete "
              + image.name()
              + " --cascade; a deleted disk lives on in the trash until it is purged.");
      rows.images().update(image.withState(Image.State.DELETING));
      return new Submission(
          UUID.randomUUID(),
          OperationKind.IMAGE_DELETE,
          project,
          image.ref(),
          Map.of("image", image.id().toString()));
    });
  }

  private final class Import implements Procedure {
    @Override
    public List<Step> steps(Operation operation) {
      return List.of(
          Step.Action.of("import", this::fill)
              .undoneBy(run -> ports.volumes().delete(run.operation().inputId("image"))));
    }

    private Step.Outcome fill(Run run) throws IOException {
      Operation operation = run.operation();
      UUID id = operation.inputId("image");
      ImageSource source = ImageSources.read(operation.input());
      // Half of an earlier attempt may be there; a copy cannot be continued, only repeated.
      ports.volumes().delete(id);
      ImageFacts facts =
          ports
              .imports()
              .importInto(
                  id,
                  source,
                  new ImageExpectation(
                      Optional.ofNullable(operation.input().get("format")),
                      Optional.ofNullable(operation.input().get("sha256"))),
                  new ImageImports.ImportProgress() {
                    @Override
                    public void onProgress(double done) {
                      run.progress(done);
                    }

                    @Override
                    public boolean isCancelled() {
                      return run.isCancelled();
                    }
                  });
      return Step.Outcome.done(
          facts.sizeBytes() + " bytes",
          rows -> rows.images().find(id).ifPresent(i -> rows.images().update(i.imported(facts))));
    }

    @Override
    public Set<UUID> claims(Operation operation) {
      return Set.of(operation.inputId("image"));
    }

    @Override
    public void rolledBack(Rows rows, Operation operation) {
      rows.images().delete(operation.inputId("image"));
    }

    @Override
    public void ended(Operation operation) throws IOException {
      if (ImageSources.read(operation.input()) instanceof ImageSource.Upload upload) {
        Files.deleteIfExists(upload.path());
      }
    }

    @Override
    public Pace pace() {
      return Pace.LONG;
    }
  }

  private final class Delete implements Procedure {
    @Override
    public List<Step> steps(Operation operation) {
      UUID id = operation.inputId("image");
      return List.of(
          Step.Action.of(
              "delete",
              _ -> {
                ports.volumes().delete(id);
                return Step.Outcome.done(rows -> rows.images().delete(id));
              }));
    }

    @Override
    public Set<UUID> claims(Operation operation) {
      return Set.of(operation.inputId("image"));
    }

    @Override
    public void rolledBack(Rows rows, Operation operation) {
      rows.images()
          .find(operation.inputId("image"))
          .ifPresent(image -> rows.images().update(image.withState(Image.State.READY)));
    }

    @Override
    public Pace pace() {
      return Pace.INSTANT;
    }
  }
}
