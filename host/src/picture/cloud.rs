//! Clouds of points in space, seen from two sides.
//!
//! What is drawn is a depth map: each point is a disc as large as the cloud is sparse, the nearest one in front. Nearness is brightness, and
//! whatever lies behind something nearer beside it is darkened, as in eye-dome lighting (Boucheny, 2009): edges show, where depth alone would leave a
//! silhouette.

use image::{Rgb, RgbImage};

use super::PictureError;

/// Pixels of one view's side in a PNG.
const SIDE: usize = 360;
/// Half the width of what is seen: the network's range, and a little more, in which a noisy cloud can be seen to gather.
const HALF_WIDTH: f32 = 1.2;
/// The views: turned about the upright axis, and tilted towards the eye, in degrees.
const VIEWS: [(f32, f32); 2] = [(0.0, 0.0), (55.0, 20.0)];
/// Colours of what is far, near, and of nothing.
const FAR: [f32; 3] = [52.0, 66.0, 110.0];
const NEAR: [f32; 3] = [255.0, 236.0, 200.0];
const BACKGROUND: [u8; 3] = [14, 16, 24];

/// Draws points `[n, 3]` in the network's range from two sides, beside each other: `x` to the right and `y` upwards, seen along `-z`; and turned by
/// 55 degrees, seen from a little above. Points outside the frame, or that are no numbers, are not drawn.
///
/// # Errors
/// [`PictureError::Length`] for numbers that make no points.
///
/// ```
/// let cloud = tweedie_host::picture::cloud::draw(&[0.0, 0.0, 0.0])?;
/// assert_eq!(cloud.dimensions(), (720, 360));
/// # Ok::<(), tweedie_host::picture::PictureError>(())
/// ```
pub fn draw(points: &[f32]) -> Result<RgbImage, PictureError> {
    if points.is_empty() || !points.len().is_multiple_of(3) {
        return Err(PictureError::Length { shape: vec![points.len() / 3, 3], length: points.len() });
    }
    let mut picture = RgbImage::new((VIEWS.len() * SIDE) as u32, SIDE as u32);
    for (view, image) in coloured_views(points, SIDE).iter().enumerate() {
        image::imageops::replace(&mut picture, image, (view * SIDE) as i64, 0);
    }
    Ok(picture)
}

/// The two views as pictures of `side` x `side` pixels: blue what is far, warm what is near.
pub fn coloured_views(points: &[f32], side: usize) -> [RgbImage; 2] {
    views(points, side).map(|view| {
        RgbImage::from_fn(side as u32, side as u32, |x, y| {
            let brightness = view[y as usize * side + x as usize];
            if brightness <= -1.0 {
                return Rgb(BACKGROUND);
            }
            let nearness = 0.5 + 0.5 * brightness;
            Rgb([0, 1, 2].map(|channel| (FAR[channel] + nearness * (NEAR[channel] - FAR[channel])) as u8))
        })
    })
}

/// The two views as grey images `[side, side]`: -1 where nothing is, above it up to 1 the nearer and the freer a point lies.
pub fn views(points: &[f32], side: usize) -> [Vec<f32>; 2] {
    VIEWS.map(|view| shaded(&depths(points, view, side), side))
}

/// The nearest point of each pixel, larger being nearer; nothing where no point is.
fn depths(points: &[f32], (turn, tilt): (f32, f32), side: usize) -> Vec<Option<f32>> {
    let ((sin_turn, cos_turn), (sin_tilt, cos_tilt)) = (turn.to_radians().sin_cos(), tilt.to_radians().sin_cos());
    let pixels = side as f32;
    // Discs that just cover a solid that fills a third of the frame.
    let radius = (0.5 * pixels / (points.len() as f32 / 3.0).sqrt()).clamp(0.5, pixels / 80.0 + 0.5);
    let mut nearest = vec![None; side * side];
    for point in points.chunks_exact(3) {
        let (right, back) = (cos_turn * point[0] - sin_turn * point[2], sin_turn * point[0] + cos_turn * point[2]);
        let (up, near) = (cos_tilt * point[1] - sin_tilt * back, sin_tilt * point[1] + cos_tilt * back);
        let on_screen = |along: f32| 0.5 * pixels * (1.0 + along / HALF_WIDTH);
        let (x, y) = (on_screen(right), on_screen(-up));
        if !(near.is_finite() && (0.0..pixels).contains(&x) && (0.0..pixels).contains(&y)) {
            continue;
        }
        let span = |centre: f32| {
            let first = (centre - radius).ceil().clamp(0.0, centre.floor()) as usize;
            first..=((centre + radius).floor() as usize).clamp(first, side - 1)
        };
        for row in span(y) {
            for column in span(x) {
                let off = (column as f32 + 0.5 - x).hypot(row as f32 + 0.5 - y);
                let is_centre = column == x as usize && row == y as usize;
                let pixel: &mut Option<f32> = &mut nearest[row * side + column];
                if (off <= radius || is_centre) && pixel.is_none_or(|known| known < near) {
                    *pixel = Some(near);
                }
            }
        }
    }
    nearest
}

/// A depth map as an image.
fn shaded(depths: &[Option<f32>], side: usize) -> Vec<f32> {
    let known = || depths.iter().flatten().copied();
    let (far, near) = (known().fold(f32::INFINITY, f32::min), known().fold(f32::NEG_INFINITY, f32::max));
    let reach = (side / 120).max(1) as isize;
    let at = |x: isize, y: isize| {
        let is_inside = (0..side as isize).contains(&x) && (0..side as isize).contains(&y);
        is_inside.then(|| depths[y as usize * side + x as usize]).flatten()
    };
    let shade = |(pixel, depth): (usize, &Option<f32>)| {
        let Some(depth) = *depth else { return -1.0 };
        let (x, y) = ((pixel % side) as isize, (pixel / side) as isize);
        let around = [(-reach, 0), (reach, 0), (0, -reach), (0, reach)];
        let in_front = around.map(|(dx, dy)| at(x + dx, y + dy).map_or(0.0, |other| (other - depth).max(0.0)));
        let free = (-2.0 * in_front.iter().sum::<f32>()).exp();
        let nearness = if near > far { (depth - far) / (near - far) } else { 1.0 };
        // Even the farthest is told from nothing.
        (2.0 * (0.12 + 0.88 * nearness) * free - 1.0).max(-0.9)
    };
    depths.iter().enumerate().map(shade).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The column and row of the brightest pixel.
    fn brightest(image: &[f32], side: usize) -> (usize, usize) {
        let (pixel, _) = image.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
        (pixel % side, pixel / side)
    }

    #[test]
    fn a_point_is_where_it_should_be() {
        let [side, turned] = views(&[1.0, 0.6, 0.0], 48);
        // 24 (1 + 1 / 1.2) and 24 (1 - 0.6 / 1.2), about which its disc lies.
        assert!(side[12 * 48 + 43] > 0.0 && side[12 * 48 + 38] == -1.0);
        let (x, y) = brightest(&turned, 48);
        // Turned by 55 degrees it lies less far to the right, and nearer; the tilt shows it lower.
        assert!((34..38).contains(&x) && (15..21).contains(&y), "{x}, {y}");
    }

    #[test]
    fn the_nearer_point_is_in_front_and_brighter() {
        let [image, _] = views(&[0.0, 0.0, -0.5, 0.0, 0.0, 0.5, 0.9, 0.0, -0.5], 48);
        assert_eq!(image[24 * 48 + 24], 1.0);
        let far = image[24 * 48 + 42];
        assert!((-0.9..0.0).contains(&far), "{far}");
        // The order of points is no matter.
        assert_eq!(views(&[0.9, 0.0, -0.5, 0.0, 0.0, 0.5, 0.0, 0.0, -0.5], 48)[0], image);
    }

    #[test]
    fn what_cannot_be_placed_is_left_out() {
        let [alone, _] = views(&[0.0, 0.0, 0.0], 24);
        let strays = [0.0, 0.0, 0.0, f32::NAN, 0.0, 0.0, 0.0, 0.0, f32::INFINITY, 3.0, 0.0, 0.0, 0.0, -1.3, 0.0];
        assert_eq!(views(&strays, 24)[0], alone);
        assert!(views(&[f32::NAN; 3], 24)[0].iter().all(|&pixel| pixel == -1.0));
        assert!(draw(&[]).is_err() && draw(&[0.0; 4]).is_err());
        // At the very corner, with a disc that reaches beyond the frame.
        assert!(views(&[-1.19, 1.19, 0.0], 160)[0][160 + 1] > -1.0);
    }
}
