package io.malleable.control;

import java.util.Optional;
import java.util.UUID;

/** Tenants. */
public final class Projects {
  private final Ports ports;

  Projects(Ports ports) {
    this.ports = ports;
  }

  /** Makes the default project when there is none yet. */
  void ensureDefault() {
    ports
        .database()
        .change(rows -> {
          if (find(rows, Project.DEFAULT).isEmpty()) {
            insert(rows, Project.DEFAULT);
          }
        });
  }

  /**
   * Adds a project.
   *
   * @throws ControlException NAME_INVALID, NAME_TAKEN
   */
  public Project create(String name) {
    ResourceName.check("name", name);
    return ports
        .database()
        .write(rows -> {
          if (find(rows, name).isPresent()) {
            throw Lookup.taken(ResourceKind.PROJECT, name);
          }
          return insert(rows, name);
        });
  }

  private Project insert(Rows rows, String name) {
    Project project = new Project(UUID.randomUUID(), name, ports.clock().instant());
    rows.projects().insert(project);
    return project;
  }

  /**
   * Finds a project by name or id.
   *
   * @throws ControlException NOT_FOUND
   */
  public Project get(String reference) {
    return ports.database().read(rows -> require(rows, reference));
  }

  public Page<Project> list(PageRequest request) {
    return ports
        .database()
        .read(rows ->
            request.page(
                rows.projects().page(new UUID(0, 0), request.afterKey(), request.limit() + 1),
                Project::name));
  }

  /**
   * Removes an empty project with the records of its operations.
   *
   * @throws ControlException NOT_FOUND, PROJECT_NOT_EMPTY, PROJECT_BUILT_IN
   */
  public void delete(String reference) {
    ports
        .database()
        .change(rows -> {
          Project project = require(rows, reference);
          if (project.name().equals(Project.DEFAULT)) {
            throw ControlException.of(
                ErrorCode.PROJECT_BUILT_IN,
                "The project 'default' always exists.",
                "Delete what it owns instead.");
          }
          long owned = rows.owned(project.id());
          if (owned > 0) {
            throw ControlException.of(
                ErrorCode.PROJECT_NOT_EMPTY,
                "The project '" + project.name() + "' still owns " + owned + " resources.",
                "Delete its nodes, disks (also those in the trash), snapshots and images first.");
          }
          rows.operations().deleteOf(project.id());
          rows.projects().delete(project.id());
        });
  }

  private static Optional<Project> find(Rows rows, String name) {
    return rows.projects().findByName(new UUID(0, 0), name);
  }

  static Project require(Rows rows, String reference) {
    Optional<Project> project =
        ResourceName.looksLikeId(reference)
            ? rows.projects().find(UUID.fromString(reference))
            : find(rows, reference);
    return project.orElseThrow(() -> Lookup.notFound(ResourceKind.PROJECT, reference));
  }
}
