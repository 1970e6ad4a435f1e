package io.malleable.control;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/** Copies of images for other projects, or under another name. */
final class ImageCopies {
  private final Ports ports;
  private final Engine engine;

  ImageCopies(Ports ports, Engine engine) {
    this.ports = ports;
    this.engine = engine;
    engine.register(OperationKind.IMAGE_COPY, new Copy(Images.CopyMode.LINKED));
    engine.register(OperationKind.IMAGE_COPY_FULL, new Copy(Images.CopyMode.FULL));
  }

  Operation copy(
      UUID project,
      String reference,
      Optional<String> to,
      Optional<String> name,
      Images.CopyMode mode) {
    return engine.submit(rows -> {
      Image original = Lookup.image(rows, project, reference);
      Lookup.requireReady(original);
      UUID owner = to.map(other -> Projects.require(rows, other).id()).orElse(project);
      String newName = name.orElse(original.name());
      Images.requireNameFree(rows, owner, newName);
      // The row names the original also while a full copy is made: that keeps it from deletion.
      Image copy =
          new Image(
              UUID.randomUUID(),
              owner,
              "",
              newName,
              Image.State.CREATING,
              ports.clock().instant(),
              original.sizeBytes(),
              new Measure.Unknown(),
              Optional.of(original.ref()),
              Image.Visibility.PRIVATE,
              List.of(),
              original.format(),
              original.sha256(),
              Optional.of("image " + original.project() + "/" + original.name()),
              1);
      rows.images().insert(copy);
      return new Submission(
          UUID.randomUUID(),
          mode == Images.CopyMode.FULL ? OperationKind.IMAGE_COPY_FULL : OperationKind.IMAGE_COPY,
          project,
          copy.ref(),
          Map.of("image", copy.id().toString(), "original", original.id().toString()));
    });
  }

  private final class Copy implements Procedure {
    private final Images.CopyMode mode;

    Copy(Images.CopyMode mode) {
      this.mode = mode;
    }

    @Override
    public List<Step> steps(Operation operation) {
      UUID id = operation.inputId("image");
      List<Step> steps = new ArrayList<>();
      steps.add(
          Step.Action.of(
                  "clone",
                  run -> {
                    long sizeBytes = run.database().read(rows -> require(rows, id)).sizeBytes();
                    ports.volumes().clone(id, operation.inputId("original"), sizeBytes);
                    return Step.Outcome.done();
                  })
              .undoneBy(_ -> ports.volumes().delete(id)));
      if (mode == Images.CopyMode.FULL) {
        steps.add(
            Step.Action.of(
                "flatten",
                run -> {
                  ports.volumes().flatten(id, new StepProgress(run));
                  return Step.Outcome.done(
                      rows -> rows.images().update(require(rows, id).withoutParent()));
                }));
      }
      steps.add(
          Step.Action.of(
              "seal",
              _ -> {
                ports.volumes().seal(id);
                return Step.Outcome.done(
                    rows -> rows.images().update(require(rows, id).withState(Image.State.READY)));
              }));
      return steps;
    }

    private static Image require(Rows rows, UUID id) {
      return rows.images()
          .find(id)
          .orElseThrow(() -> new IllegalStateException("image " + id + " is gone"));
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
    public Pace pace() {
      return mode == Images.CopyMode.FULL ? Pace.LONG : Pace.INSTANT;
    }
  }
}
