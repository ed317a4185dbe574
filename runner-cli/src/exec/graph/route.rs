//! The way of an arrow between two boxes: never behind the box of a job that has nothing to do with it.

use std::fmt::Write;

use super::svg::{BOX, GAP, ROW};

/// Where a box is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) column: usize,
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) width: usize,
}

/// A stage: boxes of one width below each other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lane {
    pub(super) x: usize,
    pub(super) width: usize,
    /// Upper edge of the first box.
    pub(super) top: usize,
    pub(super) boxes: usize,
}

/// The path from the right side of a box to the left side of another, between the boxes of the stages on its way; within a stage, around
/// the right side.
pub(super) fn route(from: Place, to: Place, lanes: &[Lane]) -> String {
    let (x1, y1) = (from.x + from.width, from.y + BOX / 2);
    let (x2, y2) = (to.x, to.y + BOX / 2);
    if from.column >= to.column {
        let (right, out) = (to.x + to.width, GAP / 2);
        return format!("M{x1} {y1}C{} {y1} {} {y2} {right} {y2}", x1 + out, right + out);
    }
    let mut path = format!("M{x1} {y1}");
    let (mut x, mut y) = (x1, y1);
    for lane in lanes.get(from.column + 1..to.column).unwrap_or_default() {
        let straight = between((x1, y1), (x2, y2), lane.x + lane.width / 2);
        let through = lane.pass(straight);
        bend(&mut path, (x, y), (lane.x, through));
        let _ = write!(path, "H{}", lane.x + lane.width);
        (x, y) = (lane.x + lane.width, through);
    }
    bend(&mut path, (x, y), (x2, y2));
    path
}

impl Lane {
    /// The height nearest to `y` at which no box is passed.
    fn pass(&self, y: usize) -> usize {
        let half = (ROW - BOX) / 2;
        let above = self.top.saturating_sub(half);
        let below = above + self.boxes * ROW;
        if y <= above || y >= below {
            return y;
        }
        above + (y - above + ROW / 2) / ROW * ROW
    }
}

fn bend(path: &mut String, (x1, y1): (usize, usize), (x2, y2): (usize, usize)) {
    let half = x2.saturating_sub(x1) / 2;
    // Writing to a string cannot fail.
    let _ = write!(path, "C{} {y1} {} {y2} {x2} {y2}", x1 + half, x2 - half);
}

/// The height at `x` of the straight line between two points.
fn between((x1, y1): (usize, usize), (x2, y2): (usize, usize), x: usize) -> usize {
    let length = x2.saturating_sub(x1).max(1);
    let share = x.saturating_sub(x1).min(length);
    (y1 * (length - share) + y2 * share) / length
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOP: usize = 50;

    fn lanes(boxes: &[usize]) -> Vec<Lane> {
        let lane = |(at, &boxes): (usize, &usize)| Lane { x: at * 200, width: 110, top: TOP, boxes };
        boxes.iter().enumerate().map(lane).collect()
    }

    fn place(column: usize, row: usize) -> Place {
        Place { column, x: column * 200, y: TOP + row * ROW, width: 110 }
    }

    /// Heights of the straight pieces.
    fn passes(path: &str) -> Vec<usize> {
        let pieces: Vec<&str> = path.split('H').collect();
        let height = |piece: &&str| piece.rsplit(' ').next().unwrap().parse().unwrap();
        pieces[..pieces.len() - 1].iter().map(height).collect()
    }

    #[test]
    fn no_box_is_passed() {
        let lanes = lanes(&[3, 4, 2, 1]);
        for (first, last) in [(0, 0), (0, 2), (2, 0), (1, 1)] {
            let path = route(place(0, first), place(3, last), &lanes);
            let heights = passes(&path);
            assert_eq!(heights.len(), 2, "{path}");
            for (lane, y) in lanes[1..3].iter().zip(heights) {
                for row in 0..lane.boxes {
                    let edge = TOP + row * ROW;
                    assert!(!(edge..=edge + BOX).contains(&y), "{path}: {y} is in the box of row {row}");
                }
            }
        }
    }

    #[test]
    fn neighbours_are_joined_by_one_curve() {
        let path = route(place(0, 0), place(1, 2), &lanes(&[1, 3]));
        assert_eq!(path.matches('C').count(), 1);
        assert!(path.ends_with(" 200 158"), "{path}");
    }

    #[test]
    fn where_no_box_is_the_way_is_straight() {
        let path = route(place(0, 3), place(2, 3), &lanes(&[4, 1, 4]));
        assert_eq!(passes(&path), [TOP + 3 * ROW + BOX / 2]);
    }
}
