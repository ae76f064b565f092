use super::*;
use crate::data::Place;
use quickcheck::quickcheck;

/// The cube [0, 2]^3 as an OFF of six squares.
const CUBE: &str = "OFF\n8 6 0\n\
    0 0 0\n2 0 0\n2 2 0\n0 2 0\n0 0 2\n2 0 2\n2 2 2\n0 2 2\n\
    4 0 3 2 1\n4 4 5 6 7\n4 0 1 5 4\n4 1 2 6 5\n4 2 3 7 6\n4 3 0 4 7\n";

fn read(name: &str, bytes: &[u8]) -> Result<Surface, DataError> {
    let file = Path::new(name);
    format_of(file).unwrap()(file, bytes)?.checked(file)
}

fn solid(name: &str, bytes: &[u8]) -> Result<Solid, DataError> {
    Solid::new(Path::new(name), read(name, bytes)?)
}

fn message(name: &str, text: &str) -> String {
    solid(name, text.as_bytes()).unwrap_err().to_string()
}

/// The share of points that satisfy a condition.
fn share(points: &[f32], condition: impl Fn(&[f32]) -> bool) -> f64 {
    points.chunks_exact(3).filter(|point| condition(point)).count() as f64 / (points.len() / 3) as f64
}

fn squared_norm(point: &[f32]) -> f32 {
    point.iter().map(|value| value * value).sum()
}

/// The cube's vertices and faces, as a binary PLY in either byte order with things in it that do not matter.
fn binary_ply(big: bool) -> Vec<u8> {
    let cube = read("cube.off", CUBE.as_bytes()).unwrap();
    let order = if big { "big" } else { "little" };
    let mut bytes = format!(
        "ply\r\nformat binary_{order}_endian 1.0\r\ncomment a cube\r\nelement camera 2\r\nproperty short at\r\n\
         element vertex 8\r\nproperty double y\r\nproperty uchar red\r\nproperty float x\r\nproperty int16 z\r\n\
         element face {}\r\nproperty list uchar float mood\r\nproperty list uint8 int32 vertex_index\r\nend_header\r\n",
        cube.triangles.len()
    )
    .into_bytes();
    // Whatever was written last is turned round for the other byte order.
    let mut push = |little: &[u8]| match big {
        true => bytes.extend(little.iter().rev()),
        false => bytes.extend(little),
    };
    push(&1_i16.to_le_bytes());
    push(&2_i16.to_le_bytes());
    for [x, y, z] in cube.vertices {
        push(&y.to_le_bytes());
        push(&[200]);
        push(&(x as f32).to_le_bytes());
        push(&(z as i16).to_le_bytes());
    }
    for triangle in cube.triangles {
        push(&[1]);
        push(&0.5_f32.to_le_bytes());
        push(&[3]);
        triangle.iter().for_each(|corner| push(&corner.to_le_bytes()));
    }
    bytes
}

#[test]
fn every_format_holds_the_same_cube() {
    let cube = read("cube.off", CUBE.as_bytes()).unwrap();
    assert_eq!((cube.vertices.len(), cube.triangles.len()), (8, 12));
    let coloured =
        CUBE.replace("OFF\n8 6 0\n", "# exported\nCOFF 8 6 0 # counts\n\n").replace("0 3 2 1", "0 3 2 1 0.5 0.5 1");
    assert_eq!(read("cube.OFF", coloured.as_bytes()).unwrap(), cube);

    let mut obj = String::from("mtllib a.mtl\no cube\n");
    let mut ply = String::from(
        "ply\nformat ascii 1.0\nelement vertex 8\nproperty float x\nproperty float y\nproperty float z\n\
         element face 6\nproperty list uchar int vertex_indices\nend_header\n",
    );
    for line in CUBE.lines().skip(2) {
        ply += &format!("{line}\n");
        match line.strip_prefix("4 ") {
            // Counted back from the last of the eight vertices, or from 1 with a texture and a normal.
            Some("0 3 2 1") => obj += "f -8 -5 -6 -7\n",
            Some(face) => {
                let corners = face.split(' ').map(|corner| corner.parse::<u32>().unwrap() + 1);
                obj += &corners.fold("f".to_owned(), |text, corner| format!("{text} {corner}/7/{corner}"));
                obj += "\n";
            }
            None => obj += &format!("v {line}\n"),
        }
    }
    assert_eq!(read("cube.obj", obj.as_bytes()).unwrap(), cube);
    assert_eq!(read("cube.ply", ply.as_bytes()).unwrap(), cube);
    for big in [false, true] {
        assert_eq!(read("cube.ply", &binary_ply(big)).unwrap(), cube, "big endian: {big}");
    }
}

#[test]
fn faults_of_files_say_where() {
    let off = |from: &str, to: &str| message("x.off", &CUBE.replacen(from, to, 1));
    assert_eq!(off("OFF", "STL"), "x.off: line 1: expected OFF, COFF or NOFF, as text");
    assert_eq!(off("8 6 0", "8"), "x.off: line 2: expected the counts of vertices, faces and edges");
    assert_eq!(off("2 2 0", "2 two 0"), "x.off: line 5: expected a vertex: three numbers");
    assert_eq!(off("8 6 0", "8 7 0"), "x.off: the file ends where a face should stand");
    assert_eq!(off("8 6 0", "4000000000 6 0"), "x.off: the file ends where a vertex should stand");
    assert!(off("8 6 0", "8 5 0").contains("line 16: expected the end"));
    assert!(off("4 0 3 2 1", "2 0 3").contains("line 11: expected a face"));
    assert!(off("4 0 3 2 1", "4000000000 0 3").contains("line 11: expected a face"));
    assert_eq!(off("4 0 3 2 1", "4 0 3 2 8"), "x.off: a face names vertex 8 (counted from 0), but there are 8");
    assert_eq!(off("0 0 0\n", "0 0 nan\n"), "x.off: vertex 0 (counted from 0) is NaN; every value must be finite");
    assert_eq!(message("x.off", ""), "x.off: the file is empty");
    assert_eq!(
        message("x.off", "OFF\n1 0 0\n1 2 3\n"),
        "x.off: holds no faces; a solid needs a closed surface of them"
    );
    assert!(matches!(read("x.off", b"OFF\n1 \xff"), Err(DataError::MeshText { line: 2, .. })));

    assert_eq!(message("x.obj", "v 1 2\n"), "x.obj: line 1: expected `v` and three numbers");
    assert!(message("x.obj", "v 1 2 3\nf 1 0 1\n").contains("line 2: expected `f`"));
    assert!(message("x.obj", "v 1 2 3\nf -1 -2 -1\n").contains("line 2: expected `f`"));
    assert!(message("x.obj", "v 1 2 3\ng a \\\n").contains("line 2: goes on in the next line"));
    assert!(message("x.obj", "v 1 2 3\nf 1 2 9\n").contains("names vertex 1 "));

    assert_eq!(message("x.ply", "plx\n"), "x.ply: line 1: expected ply");
    assert_eq!(message("x.ply", "ply\nformat ascii 1.0\n"), "x.ply: line 3: the header has no end_header");
    assert!(message("x.ply", "ply\nformat ascii 2.0\n").contains("line 2: expected format"));
    assert!(message("x.ply", "ply\nproperty float x\n").contains("line 2: expected property"));
    assert!(message("x.ply", "ply\nend_header\n").contains("without a format"));
    let start = "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\n";
    assert!(message("x.ply", &format!("{start}end_header\n")).contains("needs the properties x, y and z"));
    let start = format!("{start}property float z\nend_header\n1 2 3\n");
    assert!(message("x.ply", &start).contains("ends in vertex 1 (counted from 0)"));
    assert!(
        message("x.ply", &format!("{start}1 two 3\n")).contains("vertex 1 (counted from 0) holds what is no number")
    );
    assert!(message("x.ply", &format!("{start}1 2 3 4\n")).contains("goes on"));
    let bytes = binary_ply(false);
    assert!(matches!(read("x.ply", &bytes[..bytes.len() - 1]), Err(DataError::PlyEnds { row: 11, .. })));
}

#[test]
fn a_leak_is_refused() {
    let open = CUBE.replace("8 6 0", "8 5 0").replace("4 3 0 4 7\n", "");
    assert_eq!(
        message("x.off", &open),
        "x.off: the mesh leaks: 4 of its edges belong to one triangle or to more than two, the first from [0.0, 0.0, 0.0] to \
         [0.0, 2.0, 0.0]; close the holes first"
    );
    // A wall inside: its edges belong to three.
    let walled = CUBE.replace("8 6 0", "8 7 0") + "4 0 2 6 4\n";
    assert!(matches!(solid("x.off", walled.as_bytes()), Err(DataError::Leaks { leaks: 4.., .. })));
    // Moebius' strip leaks as well, so one side alone shows in the projective plane: a half of an icosahedron.
    let plane = "OFF\n6 10 0\n0 0 1\n1 0 0\n0 1 0\n-1 0 0\n0 -1 0\n1 1 1\n3 0 1 2\n3 0 2 3\n3 0 3 4\n3 0 4 5\n3 0 5 1\n\
                 3 1 2 4\n3 2 3 5\n3 3 4 1\n3 4 5 2\n3 5 1 3\n";
    assert_eq!(message("x.off", plane), "x.off: the mesh has one side only, so nothing is inside");
}

#[test]
fn what_encloses_nothing_is_refused() {
    let flat = CUBE.replace("0 0 2\n2 0 2\n2 2 2\n0 2 2\n", "0 0 1e-9\n2 0 1e-9\n2 2 1e-9\n0 2 1e-9\n");
    assert!(solid("x.off", flat.as_bytes()).is_ok(), "thin, but a box that it fills");
    // Two triangles back to back.
    let empty = "OFF\n3 2 0\n0 0 0\n1 0 0\n0 1 1\n3 0 1 2\n3 2 1 0\n";
    let empty = solid("x.off", empty.as_bytes()).unwrap();
    assert!(matches!(empty.points(Path::new("x.off"), 0, 8), Err(DataError::Thin { .. })));
    let lines = CUBE.lines().enumerate();
    let far: String =
        lines.map(|(i, line)| format!("{}{line}\n", if (2..10).contains(&i) { "9" } else { "" })).collect();
    assert_eq!(
        message("x.off", &far),
        "x.off: the mesh is 2 long, and its coordinates go from 0 to 92; move it nearer to the origin"
    );
    let huge = CUBE.replace("\n2 ", "\n2e300 ").replace(" 2\n", " 2e300\n");
    assert!(matches!(solid("x.off", huge.as_bytes()), Err(DataError::Range { .. })));
}

#[test]
fn a_mesh_of_loose_or_turned_triangles_is_put_right() {
    let cube = read("cube.off", CUBE.as_bytes()).unwrap();
    // Each triangle with vertices of its own, and every other one inside out.
    let mut loose = Surface::default();
    for (i, triangle) in cube.triangles.iter().enumerate() {
        let first = loose.vertices.len() as u32;
        loose.vertices.extend(triangle.map(|vertex| cube.vertices[vertex as usize]));
        loose.triangles.push(if i % 2 == 0 { [first, first + 1, first + 2] } else { [first, first + 2, first + 1] });
    }
    // One that collapses.
    loose.triangles.push([0, 1, 0]);
    let (cube, loose) = (Solid::new(Path::new("a"), cube).unwrap(), Solid::new(Path::new("b"), loose).unwrap());
    let points = |solid: &Solid| solid.points(Path::new("c"), 3, 500).unwrap();
    assert_eq!(points(&cube), points(&loose));
}

#[test]
fn points_fill_a_cube_evenly() {
    let cube = solid("cube.off", CUBE.as_bytes()).unwrap();
    assert_eq!((cube.scaling().offset, cube.scaling().scale), (1.0, 1.0));
    assert!(cube.contains([0.0; 3]) && cube.contains([0.99, -0.99, 0.99]));
    for outside in [[1.01, 0.0, 0.0], [0.0, -1.01, 0.0], [0.0, 0.0, 1.01], [0.0, 0.0, -1.01]] {
        assert!(!cube.contains(outside), "{outside:?}");
    }
    // Straight below an edge between triangles, and below corners.
    assert!(cube.contains([0.25, 0.25, 0.5]) && cube.contains([0.0, 0.0, -0.5]));
    let points = cube.points(Path::new("cube.off"), 0, 20_000).unwrap();
    // Five standard deviations of a share of 1/8 are 0.012.
    for octant in 0..8 {
        let inside = |point: &[f32]| (0..3).all(|axis| (point[axis] > 0.0) == (octant >> axis & 1 == 1));
        assert!((share(&points, inside) - 0.125).abs() < 0.012, "octant {octant}");
    }
    let ball = std::f64::consts::PI / 6.0;
    assert!((share(&points, |point| squared_norm(point) < 1.0) - ball).abs() < 0.018);
    assert_eq!(points[..300], cube.points(Path::new("cube.off"), 0, 100).unwrap());
    assert_ne!(points[..300], cube.points(Path::new("cube.off"), 1, 100).unwrap());
}

#[test]
fn points_fill_a_marched_ball_evenly() {
    let depth = |[x, y, z]: [f64; 3]| (x * x + y * y + z * z).sqrt() - 1.0;
    let surface = marching::surface_of(depth, [-1.1; 3], [1.1; 3], 0.1);
    let ball = Solid::new(Path::new("ball"), surface).unwrap();
    let points = ball.points(Path::new("ball"), 0, 20_000).unwrap();
    assert!(points.chunks_exact(3).all(|point| squared_norm(point) <= 1.02));
    // The volume within r grows as r^3; the facets' own volume is less by about a hundredth.
    for radius in [0.4_f32, 0.7, 0.9] {
        let expected = f64::from(radius).powi(3);
        let inside = share(&points, |point| squared_norm(point) < radius * radius);
        assert!((inside - expected).abs() < 0.02, "{inside} within {radius}, {expected} expected");
    }
    assert!((share(&points, |point| point[2] > 0.0) - 0.5).abs() < 0.018);
}

#[test]
fn hollows_are_outside_and_overlaps_are_inside() {
    let cube = read("cube.off", CUBE.as_bytes()).unwrap();
    let with = |other: Surface| {
        let mut both = cube.clone();
        let first = both.vertices.len() as u32;
        both.vertices.extend(other.vertices);
        both.triangles.extend(other.triangles.into_iter().map(|triangle| triangle.map(|vertex| vertex + first)));
        Solid::new(Path::new("x"), both).unwrap()
    };
    let mut hollow = cube.clone();
    hollow.vertices.iter_mut().flatten().for_each(|value| *value = 0.5 + 0.5 * *value);
    hollow.triangles.iter_mut().for_each(|triangle| triangle.swap(0, 1));
    let hollow = with(hollow);
    assert!(!hollow.contains([0.0; 3]) && hollow.contains([0.0, 0.0, 0.8]));
    let mut beside = cube.clone();
    beside.vertices.iter_mut().for_each(|vertex| vertex[0] += 1.0);
    let beside = with(beside);
    // [0, 3] x [0, 2] x [0, 2] in the range of [0, 3].
    assert!(beside.contains([0.0, 0.0, 0.0]) && beside.contains([-0.9, 0.0, 0.0]) && beside.contains([0.9, 0.0, 0.0]));
    assert!(!beside.contains([0.0, 0.9, 0.0]));
}

#[test]
fn the_embedded_cow_stands_on_four_legs() {
    let cow = load(COW).unwrap().unwrap();
    let data = dataset(COW).unwrap();
    data.validate().unwrap();
    assert_eq!((data.len(), data.shape.as_slice(), data.name.as_str()), (POINTS, &[3][..], "cow"));
    let place = |x: f32, y: f32, z: f32| {
        let scaling = cow.scaling();
        [x, y, z].map(|value| f64::from((value - scaling.offset) / scaling.scale))
    };
    assert!(cow.contains(place(0.0, 0.1, 0.0)), "the trunk");
    for (x, z) in [(0.38, 0.16), (0.38, -0.16), (-0.71, 0.16), (-0.71, -0.16)] {
        assert!(cow.contains(place(x, -0.6, z)), "a leg");
    }
    assert!(!cow.contains(place(0.0, -0.5, 0.0)), "between the legs");
    assert!(matches!(load("cow.csv"), Ok(None)));
}

#[test]
fn a_vertex_is_named_by_its_number() {
    assert_eq!(Place::Vertex(7).to_string(), "vertex 7 (counted from 0)");
}

quickcheck! {
    fn any_bytes_are_a_mesh_or_an_error(bytes: Vec<u8>) -> bool {
        ["x.off", "x.obj", "x.ply"].iter().all(|name| {
            let _ = solid(name, &bytes);
            let _ = solid(name, &[b"ply\nformat binary_little_endian 1.0\n", bytes.as_slice()].concat());
            true
        })
    }

    // Random bytes seldom form a mesh; a cube with some bytes changed often does.
    fn any_damaged_mesh_is_a_mesh_or_an_error(changes: Vec<(u16, u8)>) -> bool {
        let mut off = CUBE.as_bytes().to_vec();
        let mut ply = binary_ply(true);
        for (at, byte) in changes.into_iter().take(4) {
            let (length, header) = (off.len(), ply.len() - 300);
            off[usize::from(at) % length] = b"0123456789.-e \n#"[usize::from(byte % 16)];
            ply[header + usize::from(at) % 300] = byte;
        }
        let stays_in_range = |name: &str, bytes: &[u8]| match solid(name, bytes) {
            Ok(solid) => {
                solid.points(Path::new(name), 0, 2).map_or(true, |points| points.iter().all(|v| v.abs() <= 1.0))
            }
            Err(_) => true,
        };
        stays_in_range("x.off", &off) && stays_in_range("x.ply", &ply)
    }
}
