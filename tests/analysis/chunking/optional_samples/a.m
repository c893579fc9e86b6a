#import "A.h"
@protocol Runner <NSObject>
- (void)run:(int)times with:(NSString *)name;
@property (nonatomic) int size;
@end
@interface Job : NSObject <Runner> {
  int _x;
}
@property (nonatomic, strong) NSString *name;
+ (instancetype)make;
@end
@implementation Job
- (void)run:(int)times with:(NSString *)name { NSLog(@"x"); }
+ (instancetype)make { return nil; }
@end
typedef NS_ENUM(NSInteger, Color) { ColorRed, ColorGreen };
static int helper(int a) { return a; }
@interface Job (Extra)
- (void)more;
@end
#define LIMIT 3
